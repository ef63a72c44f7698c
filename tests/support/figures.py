"""Reads the metrics at /metrics."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.support.stack import Stack

TOKEN = "a-scraper-s-own-token"


async def scrape(stack: Stack) -> httpx.Response:
    return await stack.client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})


async def figure(stack: Stack, name: str, **labels: str) -> float:
    """One figure; 0 where nothing was counted under these labels yet."""
    families = text_string_to_metric_families((await scrape(stack)).text)
    found = [
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == f"holdfast_{name}" and labels.items() <= sample.labels.items()
    ]
    return sum(found)
