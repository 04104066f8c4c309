/** google.rpc.Status by an independent decoder. */
import protobuf from "protobufjs";

const STATUS = protobuf.parse(`
  syntax = "proto3";
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message RetryInfo { Duration retry_delay = 1; }
  message FieldViolation { string field = 1; string description = 2; }
  message BadRequest { repeated FieldViolation field_violations = 1; }
`).root;

export interface DecodedStatus {
  readonly code: number;
  readonly message: string;
  readonly retryDelaySeconds?: number;
  readonly violations?: { field: string; description: string }[];
}

interface PlainStatus {
  code: number;
  message: string;
  details?: { typeUrl: string; value: Uint8Array }[];
}

/** @throws where `bytes` is no Status. */
export function decodeStatus(bytes: Uint8Array): DecodedStatus {
  const plain = (type: string, value: Uint8Array): unknown => {
    const message = STATUS.lookupType(type);
    return message.toObject(message.decode(value), { longs: Number });
  };
  const { code, message, details = [] } = plain("Status", bytes) as PlainStatus;
  let status: DecodedStatus = { code, message };
  for (const { typeUrl, value } of details) {
    const type = typeUrl.replace("type.googleapis.com/google.rpc.", "");
    const detail = plain(type, value) as {
      retryDelay?: { seconds: number };
      fieldViolations?: { field: string; description: string }[];
    };
    if (type === "RetryInfo") {
      status = { ...status, retryDelaySeconds: detail.retryDelay!.seconds };
    } else status = { ...status, violations: detail.fieldViolations! };
  }
  return status;
}
