/*
 * probe: what is looked at to say whether this node is well.
 *
 * Layer domain.  One table: a probe is a row of probes[] and its function.  The
 * class says what a failure means: of a local fatal one this node cannot do
 * its work and another should; a local degraded one is this node's trouble
 * but not a reason to move; a shared one would be the same on any node.
 *
 * probe_run() waits, at most the row's timeout.
 */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum probe_class { PROBE_FATAL, PROBE_DEGRADED, PROBE_SHARED };
enum probe_state { PROBE_OK, PROBE_WARNING, PROBE_FAILED };
enum probe_role { PROBE_NO_ROLE, PROBE_PRIMARY, PROBE_STANDBY };

struct probe_result {
	enum probe_state state;
	enum probe_role role; /* of PostgreSQL */
	char detail[256];     /* what was found, or what is wrong */
	int64_t took_ms;
	int64_t at; /* seconds since the epoch */
};

struct probe {
	const char *name;
	enum probe_class class;
	int64_t interval_ms;
	int64_t timeout_ms;
	void (*run)(const struct probe *p, struct probe_result *r);
	const char *setting; /* for the function; may be NULL */
};

#define PROBE_COUNT 4
extern const struct probe probes[PROBE_COUNT];

void probe_run(const struct probe *p, struct probe_result *r);

const char *probe_class_word(enum probe_class c);
const char *probe_state_word(enum probe_state s);

#endif
