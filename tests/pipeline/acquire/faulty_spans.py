"""Pictures over which whoever reads them comes to grief."""

from faults import FAULTS

from pipeline.acquire.admission import Span


class FaultySpan(Span):
    """A stretch of a file that crashes its reader, hangs it or fills its memory, as the file's name says."""

    __slots__ = ()

    def read(self) -> bytes:
        FAULTS[self.file.name]()
        return b""
