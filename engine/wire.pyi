from typing import Final

from fendan.engine.call import Refusal as Refusal
from fendan.engine.call import Response as Response
from fendan.engine.call import read_response as read_response
from fendan.engine.call import write_request as write_request
from fendan.engine.counts import StockKind as StockKind
from fendan.engine.counts import StockRequest as StockRequest
from fendan.engine.reply import Reply as Reply
from fendan.engine.request import Kind as Kind
from fendan.engine.request import Request as Request
from fendan.engine.request import columns_of as columns_of
from fendan.engine.request import correlation_id as correlation_id

ROUTE: Final = Kind.ROUTE
BATCH: Final = Kind.BATCH
STREAM: Final = Kind.STREAM
