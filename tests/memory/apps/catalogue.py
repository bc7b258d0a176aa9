"""The state of an application: a catalogue, the same one for the same number of records."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any


@dataclass
class Customer:
    number: int
    name: str
    discount: float
    tags: list[str]


@dataclass
class Catalogue:
    products: dict[str, dict[str, Any]]
    customers: list[Customer]
    prices: list[float]


def build(records: int) -> Catalogue:
    chance = random.Random(records)
    text = json.dumps(
        [
            {
                "name": f"product {number} of {chance.randrange(10**9)}",
                "stock": chance.randrange(1000, 10**6),
                "maker": {"town": f"town {chance.randrange(900)}", "since": 1900 + number % 120},
                "parts": [chance.randrange(1000, 10**6) for _ in range(6)],
                "notes": [f"note {chance.randrange(10**6)}" for _ in range(3)],
            }
            for number in range(records)
        ]
    )
    return Catalogue(
        {f"p{number}": product for number, product in enumerate(json.loads(text))},
        [
            Customer(number + 10**6, f"customer {number}", chance.random(), [f"tag {number % 50}"])
            for number in range(records)
        ],
        [chance.random() for _ in range(records)],
    )


def one(catalogue: Catalogue, number: int) -> dict[str, Any]:
    """What a small request looks at."""
    product = catalogue.products[f"p{number}"]
    customer = catalogue.customers[number]
    return {"product": product, "customer": customer.name, "price": catalogue.prices[number]}


def everything(catalogue: Catalogue) -> int:
    """Read every object there is; a number that depends on each."""
    total = 0
    for key, product in catalogue.products.items():
        total += len(key) + product["stock"] + len(product["name"])
        total += len(product["maker"]["town"]) + product["maker"]["since"]
        total += sum(product["parts"]) + sum(map(len, product["notes"]))
    for customer in catalogue.customers:
        total += customer.number + len(customer.name) + len(customer.tags[0])
        total += customer.discount > 0.5
    return total + sum(price > 0.5 for price in catalogue.prices)
