/*
 * lookup: what FreeSWITCH asks, read from its form so that nobody else's words
 * count.
 *
 * Layer domain.  mod_xml_curl writes the first five fields (hostname, section,
 * tag_name, key_name, key_value) without encoding, and in a directory lookup
 * key_value is the realm that the *phone* sent: `x&purpose=gateways` puts a
 * field of the phone's own into the form.  The fields that follow are encoded
 * and can be trusted.  So:
 *   - section, tag_name, key_name and key_value count where they come first,
 *     every other field where it comes last;
 *   - `action` decides before `purpose`;
 *   - a lookup whose `domain` is not its key_value is refused.
 * With enable-post-var in xml_curl.conf the list must name action, purpose,
 * user, domain, key, group and group_name, or these rules have nothing to hold.
 *
 * Which questions there are is one table in lookup.c, and how each is answered
 * one in answer.c; a question that is not there has no `what`, and is answered
 * with the not-found document.
 *
 * A name within a tenant reaches FreeSWITCH as NAME@DOMAIN, in which all but
 * letters, digits, `_`, `.` and `-` is percent-encoded (lookup_put_name()):
 * most applications take their arguments apart at blanks and other signs.
 */
#ifndef LOOKUP_H
#define LOOKUP_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "form.h"
#include "metrics.h"
#include "verr.h"

#define LOOKUP_BODY_MAX   (256 * 1024)
#define LOOKUP_FIELDS_MAX 4096

enum lookup_what {
	LOOKUP_UNKNOWN,
	LOOKUP_USER,     /* domain and user: all that is known of one user */
	LOOKUP_MAILBOX,  /* the same with the PIN; or a box without a user */
	LOOKUP_DOMAIN,   /* domain */
	LOOKUP_GROUP,    /* domain and group, with its users */
	LOOKUP_NETWORKS, /* domain: users by network, for access lists */
	LOOKUP_GATEWAYS, /* the trunks of a SIP profile */

	LOOKUP_CALLCENTER, /* name and domain of a queue; or all of them */
	LOOKUP_IVR,        /* name and domain of a menu, with its sub-menus */
	LOOKUP_CONFERENCE, /* name and domain of a conference */
	LOOKUP_ACL,        /* who is known by address */

	LOOKUP_DIALPLAN, /* a dialled number */
};

enum lookup_result {
	LOOKUP_FOUND,
	LOOKUP_NOT_FOUND,
	LOOKUP_REFUSED,
	LOOKUP_UNAVAILABLE,
};

/*
 * A call that is routed.  The profile that is hunted (Hunt-*) is the call's
 * present one; the X-VOIP headers are whatever the sender of the INVITE wrote,
 * and the others are FreeSWITCH's own.
 */
struct lookup_call {
	const char *number;
	const char *context;
	const char *network;        /* where the call comes from */
	const char *request_number; /* what the INVITE asked for */
	const char *transfer;       /* who was sent here, and how; "": nobody */
	const char *direction;      /* of the leg: "outbound" when we called */
	const char *call_direction; /* what the dialplan said of the call */
	const char *header_domain;
	const char *header_caller;
	const char *header_service;
	const char *domain_name; /* of the user who logged in */
	const char *user_name;
	const char *dialed_domain; /* of the user who was called */
	const char *dialed_user;
	const char *from_host;
	const char *authorized; /* "true" when the INVITE had a password */
};

/* Strings are borrowed from `form` and `text`, "" when the form has none. */
struct lookup {
	struct form form;
	struct buf text; /* of values that are part of a field */
	const char *section;
	const char *action; /* or the purpose, or the file, for the log */
	const char *domain; /* spelled as asked */
	const char *user;
	const char *group;
	const char *profile; /* the SIP profile that asks */
	const char *name;    /* of one queue, menu or conference */
	struct lookup_call call;
	bool is_part; /* not asked by FreeSWITCH: part of a static file */
	enum lookup_what what;
	const char *refused; /* why, or NULL */
	enum metric counter; /* of its LOOKUP_FOUND; the others follow */
};

/*
 * `section` is what the request's path says, used when the form has none; may
 * be NULL.  VERR_INPUT when this is no lookup at all.  The caller ends with
 * lookup_release(), also after an error.
 */
int lookup_parse(struct lookup *l, const char *section, const char *data,
		 size_t len, struct verr *e);
void lookup_release(struct lookup *l);
/* A lookup that asks for nothing: every string is "". */
void lookup_init(struct lookup *l);

/* Whether a tenant, or an account or number, can have such a name. */
bool lookup_is_domain(const char *name);
bool lookup_is_user(const char *name);

/* Append NAME@DOMAIN as FreeSWITCH gets it.  Conferences have `_` for the `@`,
 * which their application takes for its own; no domain has one. */
void
lookup_put_name(struct buf *out, const char *name, char at, const char *domain);

const char *lookup_result_word(enum lookup_result result);
void lookup_count(const struct lookup *l, enum lookup_result result);

#endif
