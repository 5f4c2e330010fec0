/*
 * metrics: counters and gauges, one row each.
 *
 * Layer text (needs only buf, and both the I/O layer and the programs count).
 * Adding one is adding a row to METRICS below; /metrics and the log read the
 * same table.  Text format: Prometheus 0.0.4.
 */
#ifndef METRICS_H
#define METRICS_H

#include <stdint.h>

#include "buf.h"

/*
 * Of a histogram there is a row for each bucket, NAME_bucket in the order of
 * their bounds, and for NAME_sum (in milliseconds) and NAME_count.
 */
enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* The lookups of one action by their result, in the order of lookup.h. */
#define METRICS_LOOKUP(X, id, section, action)                               \
	METRICS_LOOKUP_RESULT(X, LOOKUP_##id##_FOUND, section, action,       \
			      "found")                                       \
	METRICS_LOOKUP_RESULT(X, LOOKUP_##id##_NOT_FOUND, section, action,   \
			      "not found")                                   \
	METRICS_LOOKUP_RESULT(X, LOOKUP_##id##_REFUSED, section, action,     \
			      "refused")                                     \
	METRICS_LOOKUP_RESULT(X, LOOKUP_##id##_UNAVAILABLE, section, action, \
			      "unavailable")
#define METRICS_LOOKUP_RESULT(X, id, section, action, result)              \
	X(id, DIRXML, COUNTER, "voip_dirxml_lookups_total",                \
	  "section=\"" section "\",action=\"" action "\",result=\"" result \
	  "\"",                                                            \
	  "Lookups answered, by what was asked.")

#define METRICS_LOOKUPS(X)                                                  \
	METRICS_LOOKUP(X, SIP_AUTH, "directory", "sip_auth")                \
	METRICS_LOOKUP(X, USER_CALL, "directory", "user_call")              \
	METRICS_LOOKUP(X, MESSAGE_COUNT, "directory", "message-count")      \
	METRICS_LOOKUP(X, VOICEMAIL, "directory", "voicemail-lookup")       \
	METRICS_LOOKUP(X, REVERSE_AUTH, "directory", "reverse-auth-lookup") \
	METRICS_LOOKUP(X, GROUP_CALL, "directory", "group_call")            \
	METRICS_LOOKUP(X, PLAIN, "directory", "none")                       \
	METRICS_LOOKUP(X, NETWORK_LIST, "directory", "network-list")        \
	METRICS_LOOKUP(X, GATEWAYS, "directory", "gateways")                \
	METRICS_LOOKUP(X, PUBLISH_VM, "directory", "publish-vm")            \
	METRICS_LOOKUP(X, CALLCENTER, "configuration", "callcenter.conf")   \
	METRICS_LOOKUP(X, IVR, "configuration", "ivr.conf")                 \
	METRICS_LOOKUP(X, CONFERENCE, "configuration", "conference.conf")   \
	METRICS_LOOKUP(X, ACL, "configuration", "acl.conf")                 \
	METRICS_LOOKUP(X, CONFIGURATION, "configuration", "configuration")  \
	METRICS_LOOKUP(X, DIALPLAN, "dialplan", "dialplan")                 \
	METRICS_LOOKUP(X, OTHER, "other", "other")

#define METRICS_TIME_BUCKET(X, id, le)                          \
	X(LOOKUP_TIME_##id, DIRXML, HISTOGRAM,                  \
	  "voip_dirxml_lookup_seconds_bucket", "le=\"" le "\"", \
	  "Time from a lookup to its answer.")
#define METRICS_TIME(X)                           \
	METRICS_TIME_BUCKET(X, 1MS, "0.001")      \
	METRICS_TIME_BUCKET(X, 5MS, "0.005")      \
	METRICS_TIME_BUCKET(X, 20MS, "0.02")      \
	METRICS_TIME_BUCKET(X, 100MS, "0.1")      \
	METRICS_TIME_BUCKET(X, 500MS, "0.5")      \
	METRICS_TIME_BUCKET(X, 2S, "2")           \
	METRICS_TIME_BUCKET(X, ANY, "+Inf")       \
	X(LOOKUP_TIME_SUM, DIRXML, HISTOGRAM,     \
	  "voip_dirxml_lookup_seconds_sum", "",   \
	  "Time from a lookup to its answer.")    \
	X(LOOKUP_TIME_COUNT, DIRXML, HISTOGRAM,   \
	  "voip_dirxml_lookup_seconds_count", "", \
	  "Time from a lookup to its answer.")

/* How voip-dirxml came by its answers. */
#define METRICS_CACHE(X)                                                       \
	X(CACHE_HIT, DIRXML, COUNTER, "voip_dirxml_cache_total",               \
	  "result=\"hit\"", "Lookups, by where the answer came from.")         \
	X(CACHE_NEGATIVE, DIRXML, COUNTER, "voip_dirxml_cache_total",          \
	  "result=\"negative\"", "Lookups, by where the answer came from.")    \
	X(CACHE_MISS, DIRXML, COUNTER, "voip_dirxml_cache_total",              \
	  "result=\"miss\"", "Lookups, by where the answer came from.")        \
	X(CACHE_COALESCED, DIRXML, COUNTER, "voip_dirxml_cache_total",         \
	  "result=\"coalesced\"", "Lookups, by where the answer came from.")   \
	X(CACHE_STALE, DIRXML, COUNTER, "voip_dirxml_cache_total",             \
	  "result=\"stale\"", "Lookups, by where the answer came from.")       \
	X(CACHE_UNKNOWN, DIRXML, COUNTER, "voip_dirxml_cache_total",           \
	  "result=\"unknown\"", "Lookups, by where the answer came from.")     \
	X(CACHE_QUESTIONS, DIRXML, COUNTER, "voip_dirxml_questions_total", "", \
	  "Questions sent to the database.")                                   \
	X(CACHE_ENTRIES, DIRXML, GAUGE, "voip_dirxml_cache_entries", "",       \
	  "Answers in memory.")                                                \
	X(CACHE_ENTRIES_NEGATIVE, DIRXML, GAUGE,                               \
	  "voip_dirxml_cache_negative_entries", "",                            \
	  "Answers in memory that say that there is none.")                    \
	X(CACHE_BYTES, DIRXML, GAUGE, "voip_dirxml_cache_bytes", "",           \
	  "Memory of the answers.")                                            \
	X(CACHE_EVICTIONS, DIRXML, COUNTER,                                    \
	  "voip_dirxml_cache_evictions_total", "",                             \
	  "Answers that had to make room.")                                    \
	X(CACHE_CHANGES, DIRXML, COUNTER, "voip_dirxml_changes_total", "",     \
	  "Changes that the database told.")                                   \
	X(CACHE_LISTENING, DIRXML, GAUGE, "voip_dirxml_listening", "",         \
	  "1 while the database tells its changes; 0: answers may be as old "  \
	  "as their time to live.")                                            \
	X(CACHE_RESYNCS, DIRXML, COUNTER, "voip_dirxml_resyncs_total", "",     \
	  "Times that every answer had to be asked anew.")                     \
	X(BRAKE_UNKNOWN, DIRXML, COUNTER, "voip_dirxml_braked_total",          \
	  "reason=\"unknown\"", "Logins refused by a brake.")                  \
	X(BRAKE_ADDRESS, DIRXML, COUNTER, "voip_dirxml_braked_total",          \
	  "reason=\"address\"", "Logins refused by a brake.")                  \
	X(BRAKE_USER, DIRXML, COUNTER, "voip_dirxml_braked_total",             \
	  "reason=\"user\"", "Logins refused by a brake.")                     \
	X(SNAPSHOT_AGE, DIRXML, GAUGE, "voip_dirxml_snapshot_age_seconds", "", \
	  "Age of the answers on disk; -1: there are none.")                   \
	X(SNAPSHOT_FAILURES, DIRXML, COUNTER,                                  \
	  "voip_dirxml_snapshot_failures_total", "",                           \
	  "Snapshots that could not be written.")

/* id, group, type, name, labels, help */
#define METRICS(X)                                                             \
	X(CDR_QUEUED, CDR, COUNTER, "voip_cdr_accepted_total", "to=\"queue\"", \
	  "CDRs that were answered with 2xx, by where they are.")              \
	X(CDR_SPOOLED, CDR, COUNTER, "voip_cdr_accepted_total",                \
	  "to=\"spool\"",                                                      \
	  "CDRs that were answered with 2xx, by where they are.")              \
	X(CDR_DEAD, CDR, COUNTER, "voip_cdr_accepted_total", "to=\"dead\"",    \
	  "CDRs that were answered with 2xx, by where they are.")              \
	X(CDR_REFUSED, CDR, COUNTER, "voip_cdr_refused_total", "",             \
	  "Bodies without ?uuid= that can never be a CDR, answered with 400.") \
	X(CDR_UNAVAILABLE, CDR, COUNTER, "voip_cdr_unavailable_total", "",     \
	  "CDRs that neither the database nor the spool could take.")          \
	X(CDR_BATCHES, CDR, COUNTER, "voip_cdr_batches_total", "",             \
	  "INSERTs into the queue; many CDRs can share one.")                  \
	X(CDR_DRAINED, CDR, COUNTER, "voip_cdr_drained_total", "",             \
	  "CDRs that went from the spool into the database.")                  \
	X(CDR_SPOOL_FILES, CDR, GAUGE, "voip_cdr_spool_files", "",             \
	  "CDRs in the spool.")                                                \
	X(CDR_SPOOL_BYTES, CDR, GAUGE, "voip_cdr_spool_bytes", "",             \
	  "Size of the spool.")                                                \
	X(HTTP_CONNECTIONS, HTTP, COUNTER, "voip_http_connections_total", "",  \
	  "Connections accepted.")                                             \
	X(HTTP_REQUESTS, HTTP, COUNTER, "voip_http_requests_total", "",        \
	  "Requests answered.")                                                \
	X(HTTP_REFUSED, HTTP, COUNTER, "voip_http_refused_total", "",          \
	  "Requests refused with 4xx.")                                        \
	X(HTTP_UNAVAILABLE, HTTP, COUNTER, "voip_http_unavailable_total", "",  \
	  "Requests answered with 503.")                                       \
	X(HTTP_DEADLINES, HTTP, COUNTER, "voip_http_deadlines_total", "",      \
	  "Connections closed at a deadline.")                                 \
	X(HTTP_OPEN, HTTP, GAUGE, "voip_http_connections", "",                 \
	  "Connections open now.")                                             \
	X(DB_UP, DB, GAUGE, "voip_database_up", "",                            \
	  "1 while the database connection works.")                            \
	X(DB_CONNECTS, DB, COUNTER, "voip_database_connects_total", "",        \
	  "Connections made to the database.")                                 \
	X(DB_FAILURES, DB, COUNTER, "voip_database_failures_total", "",        \
	  "Requests that the database did not answer.")                        \
	METRICS_LOOKUPS(X)                                                     \
	METRICS_TIME(X)                                                        \
	METRICS_CACHE(X)

enum metric_group {
	METRIC_GROUP_HTTP = 1 << 0,
	METRIC_GROUP_DB = 1 << 1,
	METRIC_GROUP_CDR = 1 << 2,
	METRIC_GROUP_DIRXML = 1 << 3,
	METRIC_GROUP_HEALTH = 1 << 4,
};

#define METRIC_ID(id, group, type, name, labels, help) METRIC_##id,
enum metric { METRICS(METRIC_ID) METRIC_COUNT };
#undef METRIC_ID

void metric_add(enum metric m, int64_t n);
void metric_set(enum metric m, int64_t value);
int64_t metric_get(enum metric m);

/* The metrics of the groups (a mask), in table order; # HELP and # TYPE once
 * for each name. */
void metric_render(struct buf *out, unsigned groups);

#endif
