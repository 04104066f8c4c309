"""A small agent with the Python SDK. Arguments: transport (http or grpc), endpoint, compression."""
import logging
import sys

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

transport, endpoint, compression = sys.argv[1:]
logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(message)s")

if transport == "grpc":
    import grpc
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    kind = grpc.Compression.Gzip if compression == "gzip" else grpc.Compression.NoCompression
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True, compression=kind)
else:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    kind = Compression.Gzip if compression == "gzip" else Compression.NoCompression
    exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", compression=kind)

provider = TracerProvider(resource=Resource.create({"service.name": "clinic"}))
provider.add_span_processor(BatchSpanProcessor(exporter))
tracer = provider.get_tracer("clinic-agent", "1.0")

with tracer.start_as_current_span("invoke_agent clinic") as agent:
    agent.set_attribute("gen_ai.operation.name", "invoke_agent")
    agent.set_attribute("gen_ai.usage.input_tokens", 9007199254740993)
    agent.set_attribute("ratio", 0.5)
    agent.set_attribute("names", ["a", "é", ""])
    with tracer.start_as_current_span("execute_tool lookup", kind=SpanKind.CLIENT) as tool:
        tool.set_attribute("gen_ai.tool.name", "lookup")
        tool.add_event("answer", {"rows": 2, "cached": False})
        tool.set_status(Status(StatusCode.ERROR, "no such row"))

print("flushed" if provider.force_flush(20_000) else "not flushed")
provider.shutdown()
