/* A module for Redis and Valkey whose one command sends a MODULE message over the cluster bus.
 *
 * `record_vectors.py` compiles and loads it: a server without modules never sends such a message. It
 * looks up the few functions of the module API that it needs, so it needs no header of either project. */

#include <stdint.h>

typedef int (*command)(void *context, void **words, int count);

static int (*set_attributes)(void *, const char *, int, int);
static int (*create_command)(void *, const char *, command, const char *, int, int, int);
static int (*send_cluster_message)(void *, const char *, uint8_t, const char *, uint32_t);
static int (*reply_with_status)(void *, const char *);

static int tell(void *context, void **words, int count) {
    send_cluster_message(context, 0, 7, "hello", 5);
    return reply_with_status(context, "OK");
}

int RedisModule_OnLoad(void *context, void **words, int count) {
    int (*find)(const char *, void *) = ((void **)context)[0];
    find("RedisModule_SetModuleAttribs", &set_attributes);
    find("RedisModule_CreateCommand", &create_command);
    find("RedisModule_SendClusterMessage", &send_cluster_message);
    find("RedisModule_ReplyWithSimpleString", &reply_with_status);
    set_attributes(context, "telltales", 1, 1);
    return create_command(context, "telltales.tell", tell, "", 0, 0, 0);
}
