/*
 * probe: what is looked at to say whether this node is well.
 *
 * Layer domain.  One table: a probe is a row of probes[] and its function.  The
 * class says what a failure means: of a local fatal one this node cannot do
 * its work and another should; a local degraded one is this node's trouble
 * but not a reason to move; a shared one would be the same on any node.  The
 * setting health_fatal makes others fatal.  A row is off when its setting is
 * empty.
 *
 * probe_run() waits and may hang: health runs it in a process of its own and
 * kills that when the row's time is over.
 */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "pgnode.h"

enum probe_class { PROBE_FATAL, PROBE_DEGRADED, PROBE_SHARED };
/* Off: the setting says that there is no such thing here. */
enum probe_state { PROBE_OK, PROBE_OFF, PROBE_WARNING, PROBE_FAILED };
enum probe_role { PROBE_NO_ROLE, PROBE_PRIMARY, PROBE_STANDBY };

/* A gateway has ten lines. */
#define PROBE_METRICS 16384
#define PROBE_HISTORY 8192

/* What Patroni's metrics have and struct pgnode has not; -1: unknown. */
struct probe_server {
	double location, received; /* bytes from 0/0; location: as pgnode's */
	double replayed_at;        /* seconds since the epoch, or 0 */
	double started_at;
	long version;
	bool pending_restart;
};

struct probe_result {
	enum probe_state state;
	enum probe_role role; /* of PostgreSQL */
	long postmaster;      /* its process, when that can be known */
	bool has_address;     /* the virtual one is ours */
	bool has_node;
	struct pgnode node; /* PostgreSQL as it was seen, when has_node */
	struct probe_server server; /* likewise */
	char detail[256];           /* what was found, or what is wrong */
	int64_t took_ms;
	int64_t at; /* seconds since the epoch; 0: not yet */
	/* Of the timelines: lines of "TIMELINE POSITION AT REASON", the oldest
	 * first: where each ended, when the next one began, seconds since the
	 * epoch or 0, and what PostgreSQL calls the reason. */
	char history[PROBE_HISTORY];
	/* For /metrics: lines of "name{labels} value". */
	char metrics[PROBE_METRICS];
};

struct probe {
	const char *name;
	enum probe_class class;
	int64_t interval_ms;
	int64_t timeout_ms;
	int fall; /* failures in a row until it counts */
	int rise; /* successes in a row until it counts no more */
	void (*run)(const struct probe *p, struct probe_result *r);
	const char *setting; /* for the function; off when empty; or NULL */
	const char *remedy;  /* what to do about it, one line */
};

#define PROBES_MAX 48
/* Ends with a NULL name. */
extern const struct probe probes[];
size_t probe_count(void);

void probe_run(const struct probe *p, struct probe_result *r);
/* With what health_fatal adds. */
enum probe_class probe_class_of(const struct probe *p);
/* It waits for nobody, so it needs no process of its own. */
bool probe_is_quick(const struct probe *p);
/* Of PostgreSQL: without it a node only keeps the address, see health.h. */
bool probe_is_database(const struct probe *p);

/* From one process to another: only as long as there is something in it. */
void probe_pack(struct buf *to, const struct probe_result *r);
bool probe_unpack(struct probe_result *r, const struct buf *from);

/* For the functions: state and one line of text. */
void probe_found(struct probe_result *r, enum probe_state state,
		 const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same when it is worse than what was found before. */
void probe_worse(struct probe_result *r, enum probe_state state,
		 const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* `text` as it may stand between the quotes of a label. */
void probe_label(char *to, size_t size, const char *text);
/* `label` is NULL, or the name of a label with the value `text`. */
void probe_value(struct probe_result *r, const char *metric, double value);
void probe_labelled(struct probe_result *r, const char *metric,
		    const char *label, const char *text, double value);
/* A connection of the probe's own to what its setting says, see db_new(). */
struct db *probe_connection(const struct probe *p, struct verr *e);
/* Each word of the row's setting. */
void probe_each_word(const struct probe *p, struct probe_result *r,
		     void (*fn)(const char *word, struct probe_result *r));

const char *probe_class_word(enum probe_class c);
const char *probe_state_word(enum probe_state s);
const char *probe_role_word(enum probe_role role);

/* The functions of the rows, by topic. */
typedef void probe_fn(const struct probe *p, struct probe_result *r);
probe_fn probe_database, probe_write, probe_replication;
probe_fn probe_queue, probe_partitions;
probe_fn probe_kamailio, probe_kamailio_rpc;
probe_fn probe_freeswitch, probe_profiles, probe_calls, probe_registrations;
probe_fn probe_gateways;
probe_fn probe_endpoint, probe_spool;
probe_fn probe_disks, probe_inodes, probe_tmpfs, probe_clock;
probe_fn probe_certificates, probe_units, probe_lsyncd;
probe_fn probe_address, probe_keepalived, probe_peer;

#endif
