// What a failed call says beside its status: the google.rpc details that every Fendan error has.
import protobuf from "protobufjs";

// As published in google/rpc/status.proto and error_details.proto; only what is read here.
const { root } = protobuf.parse(`
  syntax = "proto3";
  package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message BadRequest {
    message FieldViolation { string field = 1; string description = 2; }
    repeated FieldViolation field_violations = 1;
  }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
`);

// The stable code of an error, such as UNKNOWN_SKU, and the path of the field that is at fault.
export function detailsOf(error) {
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  if (!bytes) return {};
  const found = {};
  for (const detail of root.lookupType("google.rpc.Status").decode(bytes).details) {
    const name = detail.typeUrl.split("/").pop();
    if (name === "google.rpc.BadRequest") {
      found.field = root.lookupType(name).decode(detail.value).fieldViolations[0]?.field;
    } else if (name === "google.rpc.ErrorInfo") {
      found.code = root.lookupType(name).decode(detail.value).reason;
    }
  }
  return found;
}
