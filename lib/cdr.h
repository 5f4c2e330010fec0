/*
 * cdr: one leg's call detail record, from FreeSWITCH's JSON to columns.
 *
 * Layer domain.  CDR_FIELDS is the one table: column of voip.cdr, its type,
 * and where the value comes from, best source first, separated by spaces:
 *
 *	name        variables.name
 *	first:name  the caller_profile of callflow's newest entry
 *	last:name   the caller_profile of its original entry
 *	times:name  the times of callflow's newest entry
 *	app:name    what the application of that name was given (app_log)
 *	/a/b/c      from the top
 *
 * Columns without a source are computed, and these partly: direction is the
 * dialplan's word for the call or else the channel's own, which is
 * channel_direction; domain is in lower case, and where no source has it the
 * host of From, but of no leg that FreeSWITCH made for another one: there that
 * host is the gateway's or an address, and the tenant is the other leg's.  What
 * the login or the dialplan says of the tenant goes before the header, which
 * anybody may send who reaches FreeSWITCH without the proxy.
 *
 * Rules (mod_json_cdr, measured): all values are strings; times come from
 * *_uepoch (UTC), "0" means never; values of `variables` are percent-decoded
 * exactly when FreeSWITCH encoded them, which start_stamp tells; text that is
 * not UTF-8 is repaired.  A value that does not fit its column is null or cut,
 * never a reason to lose the record; without leg_uuid and start_time it is no
 * CDR.
 *
 *	struct cdr c = { 0 };
 *
 *	if (cdr_parse(&c, body, len, e) == 0)
 *		... c.value[CDR_LEG_UUID] ...
 *	cdr_release(&c);
 */
#ifndef CDR_H
#define CDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "verr.h"

enum cdr_type {
	CDR_TYPE_TEXT,    /* at most 1024 bytes */
	CDR_TYPE_KEY,     /* at most 256 bytes: it is in an index */
	CDR_TYPE_NAME,    /* the same, as lookup_put_name() writes names */
	CDR_TYPE_UTIME,   /* microseconds of the epoch -> timestamptz */
	CDR_TYPE_TIME,    /* seconds of the epoch -> timestamptz */
	CDR_TYPE_INT,     /* 0 to 2^31-1 */
	CDR_TYPE_DECIMAL, /* numeric(5,2) */
	CDR_TYPE_BOOL,    /* "t" or "f" */
};

/* id, column, type, sources */
/* clang-format off */
#define CDR_FIELDS(X) \
	X(LEG_UUID, "leg_uuid", KEY, "uuid") \
	X(START_TIME, "start_time", UTIME, \
	  "start_uepoch times:created_time") \
	X(BRIDGE_UUID, "bridge_uuid", KEY, \
	  "bridge_uuid last_bridge_to signal_bond") \
	X(CALL_GROUP, "call_group", KEY, "call_uuid") \
	X(ORIGINATOR_UUID, "originator_uuid", KEY, \
	  "originator originating_leg_uuid other_loopback_leg_uuid") \
	X(MEMBER_SESSION_UUID, "member_session_uuid", KEY, \
	  "cc_member_session_uuid") \
	X(DOMAIN, "domain", KEY, \
	  "domain_name sip_h_X-VOIP-DOMAIN dialed_domain") \
	X(DIRECTION, "direction", TEXT, "call_direction") \
	X(CHANNEL_DIRECTION, "channel_direction", TEXT, "") \
	X(CALLER_NUMBER, "caller_number", TEXT, \
	  "first:caller_id_number sip_from_user") \
	X(CALLER_NAME, "caller_name", TEXT, \
	  "first:caller_id_name sip_from_display") \
	X(DESTINATION, "destination", TEXT, \
	  "last:destination_number dialed_user sip_req_user sip_to_user") \
	X(DESTINATION_LAST, "destination_last", TEXT, \
	  "first:destination_number dialed_user sip_req_user sip_to_user") \
	X(ACCOUNT, "account", TEXT, "user_name sip_h_X-VOIP-CALLER") \
	X(CONTEXT, "context", TEXT, "first:context user_context") \
	X(PROGRESS_TIME, "progress_time", UTIME, \
	  "progress_uepoch progress_media_uepoch") \
	X(ANSWER_TIME, "answer_time", UTIME, "answer_uepoch") \
	X(BRIDGE_TIME, "bridge_time", UTIME, "bridge_uepoch") \
	X(END_TIME, "end_time", UTIME, "end_uepoch") \
	X(DURATION, "duration", INT, "duration") \
	X(BILLSEC, "billsec", INT, "billsec") \
	X(DURATION_MS, "duration_ms", INT, "mduration") \
	X(BILLSEC_MS, "billsec_ms", INT, "billmsec") \
	X(HOLD_SECONDS, "hold_seconds", INT, "hold_accum_seconds") \
	X(HANGUP_CAUSE, "hangup_cause", TEXT, "hangup_cause") \
	X(HANGUP_CAUSE_Q850, "hangup_cause_q850", INT, "hangup_cause_q850") \
	X(HANGUP_DISPOSITION, "sip_hangup_disposition", TEXT, \
	  "sip_hangup_disposition") \
	X(HANGUP_BY, "hangup_by", TEXT, "") \
	X(SIP_TERM_STATUS, "sip_term_status", TEXT, \
	  "sip_term_status sip_invite_failure_status") \
	X(QUEUE, "queue", NAME, "cc_queue") \
	X(CC_SIDE, "cc_side", TEXT, "cc_side") \
	X(CC_CAUSE, "cc_cause", TEXT, "cc_cause") \
	X(CC_CANCEL_REASON, "cc_cancel_reason", TEXT, "cc_cancel_reason") \
	X(QUEUE_JOINED_AT, "queue_joined_at", TIME, "cc_queue_joined_epoch") \
	X(QUEUE_ANSWERED_AT, "queue_answered_at", TIME, \
	  "cc_queue_answered_epoch") \
	X(QUEUE_ENDED_AT, "queue_ended_at", TIME, \
	  "cc_queue_terminated_epoch cc_queue_canceled_epoch") \
	X(AGENT, "agent", KEY, "cc_agent") \
	X(RECORDING, "recording", TEXT, \
	  "voip_recording cc_record_filename app:record_session") \
	X(MOS, "mos", DECIMAL, \
	  "rtp_audio_in_mos /callStats/audio/inbound/mos") \
	X(READ_CODEC, "read_codec", TEXT, "read_codec") \
	X(WRITE_CODEC, "write_codec", TEXT, "write_codec") \
	X(GATEWAY, "gateway", TEXT, "sip_gateway_name sip_gateway") \
	X(SIP_CALL_ID, "sip_call_id", KEY, "sip_call_id") \
	X(NETWORK_IP, "network_ip", TEXT, "sip_network_ip first:network_addr") \
	X(USER_AGENT, "user_agent", TEXT, "sip_user_agent") \
	X(ACCOUNTCODE, "accountcode", TEXT, "accountcode") \
	X(TRANSFER, "transfer", TEXT, "transfer_history transfer_source") \
	X(TRANSFER_TO, "transfer_to", TEXT, "transfer_to") \
	X(LAST_APP, "last_app", TEXT, "last_app") \
	X(NODE, "node", TEXT, "/switchname FreeSWITCH-Switchname") \
	X(REPAIRED, "repaired", BOOL, "")
/* clang-format on */

#define CDR_FIELD_ID(id, column, type, sources) CDR_##id,
enum cdr_field { CDR_FIELDS(CDR_FIELD_ID) CDR_FIELD_COUNT };
#undef CDR_FIELD_ID

struct cdr_field_row {
	const char *column;
	enum cdr_type type;
	const char *sources;
};
extern const struct cdr_field_row cdr_fields[CDR_FIELD_COUNT];

struct cdr {
	/*
	 * In the text form that PostgreSQL reads, UTF-8; NULL is null.
	 * Borrowed until cdr_release() or the next cdr_parse().
	 */
	const char *value[CDR_FIELD_COUNT];
	int64_t start_us; /* microseconds since the epoch */
	bool repaired;
	/* To be set before: make `raw`, the body as JSON without secrets
	 * (cdrraw.h).  Borrowed as the values are. */
	bool want_raw;
	struct buf raw;
	struct buf text; /* private: what `value` points into */
};

/*
 * `body` as received, in any encoding of cdrdecode.h.  VERR_INPUT: it can
 * never become a CDR, and why; VERR_RETRY: no memory.  The same struct may be
 * used again and again; its memory is kept.
 */
int cdr_parse(struct cdr *c, const void *body, size_t len, struct verr *e);
void cdr_release(struct cdr *c);

/* Would cdr_parse() take it?  The same errors, without the columns. */
int cdr_check(const void *body, size_t len, struct verr *e);

#endif
