/** Where tools, collections and results stand in telemetry: one list of each. */

/** Attributes whose value is the name of the tool that was called. */
export const toolNameKeys: ReadonlySet<string> = new Set([
  "gen_ai.tool.name",
  "mcp.tool.name",
  "tool.name",
  "tool_name",
  "ai.toolCall.name",
  "traceloop.entity.name",
  "langsmith.trace.name",
  "function_name",
  "function.name",
  "spanseal.tool.name",
  "name",
  "genkit:name",
  "mastra.tool.name",
  "operation.name",
]);

/** Attributes whose value is the name of a table or collection. */
export const collectionKeys: ReadonlySet<string> = new Set([
  "db.collection.name",
  "db.sql.table",
  "db.mongodb.collection",
  "db.cassandra.table",
  "db.cosmosdb.container",
  "aws.dynamodb.table_names",
  "gen_ai.data_source.id",
  "spanseal.data.collection",
]);

/** Attributes whose value is a query that names its collections. */
export const queryKeys: ReadonlySet<string> = new Set([
  "db.query.text",
  "db.query.summary",
  "db.statement",
  "sql.query",
  "query",
]);

const RESULT =
  /(?:^|[._:-])(?:results?|outputs?|response|tool_response|content|completion|message|messages|rows|records|data|body|structured_?content|documents|value)(?:[._:-]\w+)*$/i;
const NO_RESULT =
  /input|argument|args|param|request|prompt|definition|schema|metadata|query|statement|instruction/i;

/**
 * Whether the attribute may hold what a tool or a query returned: `gen_ai.tool.call.result`,
 * `output.value`, `traceloop.entity.output`, `ai.toolCall.result`, `gcp.vertex.agent.tool_response`,
 * `mcp.response.content`, the body of a log record …
 */
export function isResultKey(key: string): boolean {
  return RESULT.test(key) && !NO_RESULT.test(key);
}
