// Route an order over gRPC with Node's stock client:
//
//     node route.mjs 127.0.0.1:50051 SKU [TOKEN]
import { fileURLToPath } from "node:url";
import { Metadata, credentials, loadPackageDefinition, status } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { detailsOf } from "./details.mjs";

const [address, sku, token] = process.argv.slice(2);
const includeDirs = [fileURLToPath(new URL("../../proto", import.meta.url))];
const options = { includeDirs, keepCase: true, enums: String, defaults: true };
const { fendan } = loadPackageDefinition(loadSync("fendan/v1/routing_service.proto", options));

const routing = new fendan.v1.RoutingService(address, credentials.createInsecure());
const metadata = new Metadata();
if (token) metadata.set("authorization", `Bearer ${token}`);

function route(order) {
  const deadline = Date.now() + 5_000;
  return new Promise((resolve, reject) =>
    routing.Route({ order }, metadata, { deadline }, (error, answer) =>
      error ? reject(error) : resolve(answer.decision),
    ),
  );
}

const order = { id: "N-1", lat: 31.23, lng: 121.47, lines: [{ sku, quantity: 2 }] };
console.log(await route(order));

try {
  await route({ ...order, id: "N-2", lines: [{ sku, quantity: 0 }] });
} catch (error) {
  const { field, code } = detailsOf(error);
  console.log({ status: status[error.code], code, field, message: error.details });
}
routing.close();
