#ifndef TALLYMAN_CLIBMONGOC_SHIM_H
#define TALLYMAN_CLIBMONGOC_SHIM_H

#include <mongoc/mongoc.h>
#include <stdlib.h>

/* bson_t is aligned to 128 bytes, so Swift sees it as opaque: it can neither read `len` nor put one on its stack.
 * A reply below therefore leaves as a heap copy, which the caller frees with bson_destroy, unless it says otherwise. */

static inline uint32_t tally_bson_length(const bson_t *document) {
    return document->len;
}

static inline bool tally_command(
    mongoc_client_t *client, const char *database, const bson_t *command, bson_t **reply_out, bson_error_t *error
) {
    bson_t reply;
    bool done = mongoc_client_command_with_opts(client, database, command, NULL, NULL, &reply, error);
    *reply_out = bson_copy(&reply);
    bson_destroy(&reply);
    return done;
}

/* A command that reads, with the collection's read preference and concern. The reply is the driver's own memory: it goes
 * back through tally_reply_end, also when the command failed. NULL when there was no memory for it. */
static inline bson_t *tally_read_command(
    mongoc_collection_t *collection, const bson_t *command, bool *done, bson_error_t *error
) {
    bson_t *reply = aligned_alloc(128, sizeof(bson_t));
    if (!reply) return NULL;
    *done = mongoc_collection_read_command_with_opts(collection, command, NULL, NULL, reply, error);
    return reply;
}

static inline void tally_reply_end(bson_t *reply) {
    bson_destroy(reply);
    free(reply);
}

static inline int64_t tally_count(
    mongoc_collection_t *collection, const bson_t *filter, bson_t **reply_out, bson_error_t *error
) {
    bson_t reply;
    int64_t count = mongoc_collection_count_documents(collection, filter, NULL, NULL, &reply, error);
    *reply_out = bson_copy(&reply);
    bson_destroy(&reply);
    return count;
}

static inline int64_t tally_estimated_count(
    mongoc_collection_t *collection, bson_t **reply_out, bson_error_t *error
) {
    bson_t reply;
    int64_t count = mongoc_collection_estimated_document_count(collection, NULL, NULL, &reply, error);
    *reply_out = bson_copy(&reply);
    bson_destroy(&reply);
    return count;
}

/* A char array inside a struct reaches Swift as a tuple of hundreds of elements. */
static inline const char *tally_error_message(const bson_error_t *error) {
    return error->message;
}

static inline const char *tally_host_and_port(const mongoc_host_list_t *host) {
    return host->host_and_port;
}

static inline const mongoc_host_list_t *tally_host_next(const mongoc_host_list_t *host) {
    return host->next;
}

#endif
