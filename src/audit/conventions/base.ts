/** Sources that every convention shares: the current names of OpenTelemetry's general attributes. */
import type { Sources } from "../plan.ts";

export const baseSources: Sources = {
  "action.operation": ["gen_ai.operation.name"],
  "actor.agent.id": ["gen_ai.agent.id"],
  "actor.agent.name": ["gen_ai.agent.name"],
  "actor.agent.version": ["gen_ai.agent.version"],
  "actor.client_address": ["client.address"],
  "actor.conversation": ["gen_ai.conversation.id"],
  "actor.on_behalf_of": ["spanseal.actor.on_behalf_of"],
  "actor.session": ["session.id", "gen_ai.session.id"],
  "actor.turn": ["", "gen_ai.turn.id", "turn.id"],
  "actor.user.id": [
    "user.id",
    "spanseal.actor.user.id",
    "enduser.id",
    "gen_ai.user",
    "llm.user",
    "enduser.pseudo.id",
    "user.hash",
  ],
  "actor.user.roles": ["user.roles", "spanseal.actor.user.roles", "enduser.role"],
  "outcome.error.message": ["error.message"],
  "outcome.error.type": ["error.type"],
  "outcome.status_code": [
    "http.response.status_code",
    "rpc.response.status_code",
    "db.response.status_code",
    "http.status_code",
  ],
  "source.sequence": ["", "event.sequence"],
};

/** The exception that a span or its event reports. */
export const exceptionSources: Sources = {
  "outcome.error.message": ["", "exception.message"],
  "outcome.error.type": ["", "exception.type"],
};

/** Members that a resource may state for everything it sends. */
export const resourceSources: Sources = {
  "actor.agent.id": ["gen_ai.agent.id"],
  "actor.agent.name": ["gen_ai.agent.name"],
  "actor.agent.version": ["gen_ai.agent.version"],
  "actor.user.id": ["user.id", "enduser.id"],
};
