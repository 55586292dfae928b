"""A dlt pipeline that copies the products, as its documentation would have one written: pymongo in, PostgreSQL out.

    dlt_copy.py MONGO_URL DATABASE POSTGRES_URL FOLDER
"""

import sys

import dlt
import pymongo

FIELDS = ("title", "price", "image", "sellerId", "quantity")


def main(mongo_url, database, postgres_url, folder):
    @dlt.resource(name="product", primary_key="id", write_disposition="replace")
    def products():
        collection = pymongo.MongoClient(mongo_url)[database]["products"]
        for product in collection.find({}, dict.fromkeys(FIELDS, 1), batch_size=10_000):
            yield {"id": str(product["_id"]), **{name: product[name] for name in FIELDS},
                   "sellerId": str(product["sellerId"])}

    pipeline = dlt.pipeline("bench", destination=dlt.destinations.postgres(postgres_url), dataset_name="dlt",
                            pipelines_dir=folder)
    pipeline.run(products())
    print("done")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
