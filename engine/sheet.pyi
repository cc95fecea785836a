import numpy as np
from numpy.typing import NDArray

from fendan.engine.stock import Stock

def sheet(stock: Stock, sku: int) -> tuple[NDArray[np.int32], int, int]: ...
def lots_sheet(stock: Stock, sku: int) -> NDArray[np.int32]: ...
