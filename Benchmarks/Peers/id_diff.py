"""The algorithm of the service that Tallyman replaced: all ids of both sides in memory, one INSERT per missing product.

    id_diff.py MONGO_URL DATABASE POSTGRES_URL TABLE

Written anew after its description. It finds missing products only; stale ones and orphans it does not see.
"""

import sys

import psycopg
import pymongo

COLUMNS = ("title", "price", "image", "sellerId", "quantity")


def main(mongo_url, database, postgres_url, table):
    products = pymongo.MongoClient(mongo_url)[database]["products"]
    with psycopg.connect(postgres_url, autocommit=True) as cart:
        wanted = [str(document["_id"]) for document in products.find({}, {"_id": 1})]
        there = {row[0] for row in cart.execute(f"SELECT id FROM {table}")}
        missing = [identifier for identifier in wanted if identifier not in there]
        names = ", ".join(f'"{name}"' for name in ("id", *COLUMNS))
        statement = f"INSERT INTO {table} ({names}) VALUES (%s, %s, %s, %s, %s, %s)"
        kind = type(products.find_one({}, {"_id": 1})["_id"]) if missing else str
        for identifier in missing:
            product = products.find_one({"_id": kind(identifier)})
            cart.execute(statement, (identifier, product["title"], product["price"], product["image"],
                                     str(product["sellerId"]), product["quantity"]))
    print(f"{len(missing)} inserted")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
