"""Copies the collection `products` as raw BSON into another server: fill.py FROM_URL TO_URL, each with its database.

What the target's collection held is dropped: bin/bench.d/sync gives it a database of its own, `tallyman_bench`.
"""

import itertools
import sys

import pymongo
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument


def main(source_url, target_url):
    options = CodecOptions(document_class=RawBSONDocument)
    source = pymongo.MongoClient(source_url).get_default_database().get_collection("products", options)
    target = pymongo.MongoClient(target_url).get_default_database().get_collection("products", options)
    target.drop()
    documents = iter(source.find({}))
    while some := list(itertools.islice(documents, 1_000)):
        target.insert_many(some, ordered=False)
    print(f"{target.count_documents({})} copied")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
