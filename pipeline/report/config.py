"""What the report shows, and how much of it."""

from pydantic import Field

from pipeline.config import Config


class ReportConfig(Config):
    """Decides the bytes of the page together with the run's own files."""

    grid: int = Field(36, ge=1, le=400, description="pictures shown of every stage, evenly spaced over its order")
    gallery: int = Field(8, ge=0, le=100, description="pictures shown of every reason for which samples were dropped")
    pairs: int = Field(8, ge=0, le=200, description="of every kind of duplicate, shown beside what was kept")
    clusters: int = Field(6, ge=0, le=100, description="pictures shown that stand for the most duplicates")
    cluster_size: int = Field(12, ge=2, le=100, description="pictures shown of each of these clusters")
    fits: int = Field(6, ge=0, le=100, description="pairs shown of every corpus that fit best, and that fit worst")
    neighbours: int = Field(6, ge=0, le=100, description="samples whose nearest are shown, by picture and by caption")
    nearest: int = Field(5, ge=1, le=20, description="samples shown nearest to each of these")
    thumbnail: int = Field(112, ge=32, le=256, description="side of the pictures on the page, in pixels")
    branches: int = Field(10, ge=1, le=100, description="shown of every node of the tree of nouns, the largest")
    curve_points: int = Field(240, ge=20, le=2_000, description="points of a training curve after averaging neighbours")
