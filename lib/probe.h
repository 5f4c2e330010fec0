/*
 * probe: what is looked at to say whether this node is well.
 *
 * Layer domain.  One table: a probe is a row of probes[] and its function.  The
 * class says what a failure means: of a local fatal one this node cannot do
 * its work and another should; a local degraded one is this node's trouble
 * but not a reason to move; a shared one would be the same on any node.
 *
 * probe_run() waits and may hang: health runs it in a process of its own and
 * kills that when the row's time is over.
 */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum probe_class { PROBE_FATAL, PROBE_DEGRADED, PROBE_SHARED };
/* Off: the setting says that there is no such thing here. */
enum probe_state { PROBE_OK, PROBE_OFF, PROBE_WARNING, PROBE_FAILED };
enum probe_role { PROBE_NO_ROLE, PROBE_PRIMARY, PROBE_STANDBY };

#define PROBE_VALUES 16

struct probe_result {
	enum probe_state state;
	enum probe_role role; /* of PostgreSQL */
	long postmaster;      /* its process, when that can be known */
	bool has_address;     /* the virtual one is ours */
	char detail[256];     /* what was found, or what is wrong */
	int64_t took_ms;
	int64_t at; /* seconds since the epoch; 0: not yet */
	/* Numbers for /metrics; the names are constants. */
	struct probe_value {
		const char *metric;
		double value;
	} values[PROBE_VALUES];
};

struct probe {
	const char *name;
	enum probe_class class;
	int64_t interval_ms;
	int64_t timeout_ms;
	int fall; /* failures in a row until it counts */
	void (*run)(const struct probe *p, struct probe_result *r);
	const char *setting; /* for the function; may be NULL */
};

#define PROBES_MAX 48
/* Ends with a NULL name. */
extern const struct probe probes[];
size_t probe_count(void);

void probe_run(const struct probe *p, struct probe_result *r);

/* For the functions: state and one line of text. */
void probe_found(struct probe_result *r, enum probe_state state,
		 const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void probe_value(struct probe_result *r, const char *metric, double value);

/* Rows of the table that have a file of their own. */
void probe_partitions(const struct probe *p, struct probe_result *r);

const char *probe_class_word(enum probe_class c);
const char *probe_state_word(enum probe_state s);

#endif
