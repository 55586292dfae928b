/* Reads a whole collection with libmongoc and does nothing with it: the physical limit of any reader of that source.
 *
 *     drain URL DATABASE COLLECTION [FIELD...]
 *
 * One cursor in the order of _id, the fields as an inclusion projection (all when none is named), batches as large as
 * the server makes them. Prints documents and bytes. Built and run by bin/bench.d/sync. */
#include <mongoc/mongoc.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: drain URL DATABASE COLLECTION [FIELD...]\n");
        return 2;
    }
    mongoc_init();
    mongoc_log_set_handler(NULL, NULL);
    bson_error_t error;
    mongoc_client_t *client = mongoc_client_new(argv[1]);
    if (client == NULL) {
        fprintf(stderr, "drain: the URL is none\n");
        return 2;
    }
    mongoc_collection_t *collection = mongoc_client_get_collection(client, argv[2], argv[3]);
    bson_t filter = BSON_INITIALIZER, options = BSON_INITIALIZER, fields, sort;
    BSON_APPEND_DOCUMENT_BEGIN(&options, "sort", &sort);
    BSON_APPEND_INT32(&sort, "_id", 1);
    bson_append_document_end(&options, &sort);
    if (argc > 4) {
        BSON_APPEND_DOCUMENT_BEGIN(&options, "projection", &fields);
        for (int at = 4; at < argc; at++) BSON_APPEND_INT32(&fields, argv[at], 1);
        bson_append_document_end(&options, &fields);
    }
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, &filter, &options, NULL);
    const bson_t *document;
    long long count = 0, bytes = 0;
    while (mongoc_cursor_next(cursor, &document)) {
        count++;
        bytes += document->len;
    }
    int failed = mongoc_cursor_error(cursor, &error);
    if (failed) fprintf(stderr, "drain: %s\n", error.message);
    else printf("%lld documents, %lld bytes\n", count, bytes);
    mongoc_cursor_destroy(cursor);
    bson_destroy(&options);
    bson_destroy(&filter);
    mongoc_collection_destroy(collection);
    mongoc_client_destroy(client);
    mongoc_cleanup();
    return failed ? 1 : 0;
}
