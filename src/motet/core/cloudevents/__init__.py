"""CloudEvents 1.0 in and out: structured, batched and binary, over HTTP and other transports.

| Event | CloudEvents |
|---|---|
| id, type, time, source | the same |
| key | `partitionkey`; without it `subject`, then `data.sessionId`, then the id |
| schema | `dataschema` |
| schema_version | `dataversion`; without it the 2 of `/v2` at the end of `dataschema` |
| correlation_id, causation_id | `correlationid`, `causationid` |
| data | `data`; JSON null is no data |
| metadata.subject | `subject`; without it `data.sessionId` is the `subject` |
| metadata.datacontenttype | `datacontenttype`, if it is not `application/json` |
| metadata, other members | extension attributes of the same name |
| metadata, references: the rest | extensions `metadata`, `references`: a JSON object as text |

"The rest" is what no attribute can hold: names other than `[a-z0-9]+` or reserved here, values
other than text, booleans and 32-bit integers. Data that is not JSON becomes a JSON string: text
(`text/*` and XML in UTF-8, or a string in the JSON format) as it is, other bytes in base 64, marked
by `metadata.data_base64`. Binary mode has text only, so integers and booleans among the extensions
come back as text, as the specification has it. An event without `source` is given
`/agents/{data.agentId}`, or `/motet`.
"""

from motet.core.cloudevents.attributes import (
    AMQP,
    AMQP_COLON,
    BATCHED,
    HTTP,
    KAFKA,
    STRUCTURED,
    Binding,
    is_json,
)
from motet.core.cloudevents.reading import from_binary, from_document
from motet.core.cloudevents.writing import to_batched, to_binary, to_structured

__all__ = [
    # Media types and header names
    "AMQP",
    "AMQP_COLON",
    "BATCHED",
    "Binding",
    "HTTP",
    "KAFKA",
    "STRUCTURED",
    "is_json",
    # In
    "from_binary",
    "from_document",
    # Out
    "to_batched",
    "to_binary",
    "to_structured",
]
