/*
 * hanode: this node's name, database, files of its state, and clock.
 *
 * Layer domain.
 */
#ifndef HANODE_H
#define HANODE_H

#include <stddef.h>
#include <stdint.h>

#include "db.h"
#include "verr.h"

void ha_node_name(char *name, size_t size);
/* A connection to this node, whatever its role; see db_new(). */
struct db *ha_node_connection(int64_t timeout_ms, struct verr *e);
/* To the other one's, by `peer_replication`; NULL, too, when that is empty. */
struct db *ha_peer_connection(int64_t timeout_ms, struct verr *e);
int64_t ha_real_ms(void);

/*
 * One at a time, also over processes: waits at most `wait_ms`.  The descriptor
 * ends the lock when it is closed; -1 with VERR_RETRY names who has it.
 */
int ha_lock(int64_t wait_ms, struct verr *e);
/* How long one transition waits for another one. */
#define HA_LOCK_MS INT64_C(60000)

/* A number in a track file of keepalived, "timeline"; only on a change. */
int ha_track(const char *name, int64_t value, struct verr *e);

/* What it says; 0 when there is none. */
int64_t ha_track_read(const char *name);

#endif
