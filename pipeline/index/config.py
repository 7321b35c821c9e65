"""How kept pictures and captions are indexed."""

from pydantic import Field

from pipeline.config import Config


class IndexConfig(Config):
    """Exact search up to a size; beyond it an approximate one, whose recall is measured."""

    exact_up_to: int = Field(default=200_000, ge=0, description="vectors up to which every one is compared")
    factory: str = Field(
        default="IVF1024,Flat",
        pattern=r"^((IVF|HNSW)\d+,)?Flat$",
        description="what FAISS builds for more: inverted lists, a graph, or Flat, which stays exact",
    )
    effort: int = Field(default=64, ge=1, description="lists that a query reads, or candidates that it keeps")
    recall_queries: int = Field(default=1_000, ge=1, description="vectors on which recall is measured")
    min_recall: float = Field(
        default=0.95, ge=0, le=1, description="share of the true ten nearest, below which the index is refused"
    )
