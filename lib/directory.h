/*
 * directory: the answers of section "directory".
 *
 * Layer domain.  Three steps with nothing between them but values, so that an
 * answer can be kept, or built again from kept rows: a lookup gives a
 * statement with its parameters (directory_question()); the database gives
 * rows; rows give the document (directory_answer()).
 *
 * A password is in no row and in no answer: FreeSWITCH gets the HA1.  What
 * another device asks of FreeSWITCH (reverse-auth) has to be sent, and is
 * opened only here.
 */
#ifndef DIRECTORY_H
#define DIRECTORY_H

#include <stdbool.h>

#include "buf.h"
#include "db.h"
#include "lookup.h"
#include "verr.h"

#define DIRECTORY_DIAL_STRING 768

struct directory_settings {
	bool at_freeswitch; /* phones register there, not at the proxy */
	char proxy[256];    /* host:port */
	char context[128];  /* of users that have none */
	long cacheable_ms;  /* 0: FreeSWITCH keeps nothing */
	char dial_user[DIRECTORY_DIAL_STRING];
	char dial_group[DIRECTORY_DIAL_STRING];
};

/* From the settings registrar, proxy, user_context and dirxml_cacheable. */
int directory_settings(struct directory_settings *s, struct verr *e);
/* The same from values at hand. */
int directory_settings_set(struct directory_settings *s, bool at_freeswitch,
			   const char *proxy, const char *context,
			   long cacheable_ms, struct verr *e);

#define DIRECTORY_PARAMS 2

struct directory_question {
	const char *sql; /* a constant; NULL: the answer needs no database */
	int nparams;
	struct db_param params[DIRECTORY_PARAMS]; /* borrow from the lookup */
	char domain[256];                         /* in lower case */
};

void directory_question(struct directory_question *q, const struct lookup *l);

/*
 * One user as the statements return it, in this order: text as in the
 * database, NULL for null, flags "t" or "f".
 */
struct directory_user {
	const char *username;
	const char *number; /* the extension that people dial */
	const char *ha1;
	const char *full_name;
	const char *accountcode;
	const char *toll_allow;
	const char *user_context;
	const char *caller_id_name;
	const char *caller_id_number;
	const char *outbound_name; /* the user's, else the tenant's */
	const char *outbound_number;
	const char *auth_acl;
	const char *user_agent_filter;
	const char *max_registrations;
	const char *forbid_register;
	const char *reverse_auth_user;
	const char *reverse_auth_pass; /* in clear */
};

/*
 * Append the document.  Returns 1; 0 when the rows mean "not found" (nothing
 * is appended); -1 when there is no memory, or a secret cannot be opened.
 */
int directory_answer(struct buf *out, const struct lookup *l,
		     const struct db_result *r,
		     const struct directory_settings *s, struct verr *e);

/* The same for one user at hand; `asked` is the user of the lookup. */
void directory_user_document(struct buf *out, const char *domain,
			     const char *asked, const struct directory_user *u,
			     const struct directory_settings *s);

#endif
