from typing import final

@final
class Arrival: ...
