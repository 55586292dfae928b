"""Makes the sample products of bin/up: a shop of invented goods and a cart that has drifted away from it.

    sample_products.py source MONGODB_URL    loads the products into the source, once
    sample_products.py cart                  prints SQL that makes and fills the cart's table

The same products come out on every run and every machine, so a second run has nothing to load.
"""

import datetime
import random
import struct
import sys

PRODUCTS = 4_000
SELLERS = 24
# What the cart missed while its queue was down.
MISSING_EVERY = 16
STALE_EVERY = 41
ORPHANS = 3
# 2024-01-01T00:00:00Z: orphans are older than every product.
ORPHANS_FROM = 1_704_067_200
SEED = 20_261_121

MATERIALS = ["oak", "brass", "linen", "slate", "copper", "felt", "ash", "clay", "wool", "cork", "tin", "birch"]
MAKES = ["Quayside", "Fenwater", "Lanternhill", "Marrow & Pike", "Saltholm", "Ostrava Lane", "Tidewright", "Bellfield"]
THINGS = {
    "kitchen": ["kettle", "bread board", "butter dish", "pepper mill", "stock pot", "egg timer", "ladle"],
    "desk": ["pen tray", "letter rack", "desk lamp", "bookend", "paper knife", "card box", "ruler"],
    "garden": ["trowel", "watering can", "seed box", "plant label", "hand rake", "bird table", "twine holder"],
    "hall": ["coat hook", "boot scraper", "umbrella stand", "key dish", "door stop", "shoe horn", "mirror"],
}


def object_id(seconds, kind, number):
    """Twelve bytes the way a driver makes them: a time, then what makes it unique."""
    return struct.pack(">IIxHB", seconds, kind, number >> 8, number & 0xFF)


def products():
    """Yields PRODUCTS documents as plain dictionaries, `_id` and `sellerId` as twelve bytes."""
    chance = random.Random(SEED)
    start = int(datetime.datetime(2025, 3, 1, tzinfo=datetime.timezone.utc).timestamp())
    for number in range(PRODUCTS):
        category = chance.choice(sorted(THINGS))
        thing, material, make = chance.choice(THINGS[category]), chance.choice(MATERIALS), chance.choice(MAKES)
        created = start + number * 3_600 + chance.randrange(3_600)
        whole = chance.random() < 0.1
        slug = f"{material}-{thing}".replace(" ", "-")
        document = {
            "_id": object_id(created, 0x5A4D0001, number),
            "title": f"{make} {material} {thing}",
            "price": chance.randrange(4, 250) if whole else chance.randrange(350, 24_999) / 100,
            "image": f"https://images.example.com/{slug}-{number}.jpg",
            "sellerId": object_id(start, 0x5E11E200, chance.randrange(SELLERS)),
            "description": f"A {thing} of {material}, made by {make}.",
            "category": category,
            "quantity": chance.choice([0, 1, 2, 3, 5, 8, 13, 40, 120]),
            "tags": [category, material],
            "createdAt": datetime.datetime.fromtimestamp(created, datetime.timezone.utc),
            "updatedAt": datetime.datetime.fromtimestamp(created + 86_400, datetime.timezone.utc),
            "version": chance.randrange(5),
            "__v": 0,
        }
        if number % 50 == 7:
            del document["image"]
        yield document


def load_source(url):
    """Fills the collection `products`. A load that was cut off is started again; a whole one is left alone."""
    from bson import ObjectId
    from pymongo import MongoClient

    database = MongoClient(url, serverSelectionTimeoutMS=10_000).get_default_database()
    if database["sample"].find_one({"_id": "products"}):
        return "already loaded"
    database["products"].drop()
    batch = []
    for document in products():
        document["_id"], document["sellerId"] = ObjectId(document["_id"]), ObjectId(document["sellerId"])
        batch.append(document)
        if len(batch) == 500:
            database["products"].insert_many(batch)
            batch = []
    if batch:
        database["products"].insert_many(batch)
    found = database["products"].count_documents({})
    if found != PRODUCTS:
        sys.exit(f"the source holds {found} products after loading {PRODUCTS}")
    database["sample"].insert_one({"_id": "products", "count": PRODUCTS})
    return f"{PRODUCTS} products loaded"


def copy_field(value):
    if value is None:
        return r"\N"
    text = str(value)
    return text.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n")


def cart_rows():
    """Yields the rows of the cart: some products missing, some with old values, a few the shop no longer has."""
    chance = random.Random(SEED + 1)
    for number, document in enumerate(products()):
        row = [
            document["_id"].hex(), document["title"], document["price"], document.get("image"),
            document["sellerId"].hex(), document["quantity"],
        ]
        if number % MISSING_EVERY == 3:
            continue
        if number % STALE_EVERY == 5:
            change = chance.randrange(3)
            if change == 0:
                row[2] = round(row[2] * 0.9, 2)
            elif change == 1:
                row[5] = row[5] + 7
            else:
                row[1], row[2] = row[1] + " (old stock)", round(row[2] + 1, 2)
        yield row
    for number in range(ORPHANS):
        identifier = object_id(ORPHANS_FROM, 0x0DD0000, number).hex()
        yield [identifier, f"Discontinued item {number + 1}", "9.50", None, object_id(0, 0, 0).hex(), 0]


def print_cart():
    """Prints one transaction's worth of SQL for psql; the table is the one TypeORM makes in the cart's service."""
    print(
        "create table product (id varchar primary key, title varchar not null, price numeric not null, image varchar,"
        ' "sellerId" varchar not null, quantity integer not null);'
    )
    print('copy product (id, title, price, image, "sellerId", quantity) from stdin;')
    for row in cart_rows():
        print("\t".join(copy_field(value) for value in row))
    print("\\.")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "source":
        print(load_source(sys.argv[2]))
    elif sys.argv[1:] == ["cart"]:
        print_cart()
    else:
        sys.exit(__doc__)
