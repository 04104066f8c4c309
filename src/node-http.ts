/**
 * `node:http` without what an import of it loads: a module reads all that it exports, and behind
 * some of that lies the whole client of `fetch` and WebSocket, 15 MiB resident.
 */
const http: typeof import("node:http") = process.getBuiltinModule("node:http");
export default http;
