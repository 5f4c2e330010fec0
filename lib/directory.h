/*
 * directory: the answers of section "directory".
 *
 * Layer domain.  A user's password is in no row and in no answer: FreeSWITCH
 * gets the HA1.  What it has to send itself (reverse-auth, trunks) is opened
 * here, and only then.
 */
#ifndef DIRECTORY_H
#define DIRECTORY_H

#include "answer.h"

extern const struct answer directory_user;
extern const struct answer directory_mailbox;
extern const struct answer directory_domain;
extern const struct answer directory_group;
extern const struct answer directory_networks;
extern const struct answer directory_gateways;
/* All of a tenant, for a static file. */
extern const struct answer directory_whole;

/*
 * One user as the statements return it, in this order: text as in the
 * database, NULL for null, flags "t" or "f".
 */
struct directory_user {
	const char *domain; /* in lower case */
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
	const char *box;               /* the user's voicemail, or NULL */
	const char *email;
	const char *keep;
	const char *pin; /* in clear, or NULL: none, or not for this answer */
};

/* The document of one user at hand; `asked` is the user of the lookup. */
void directory_user_document(struct buf *out, const char *domain,
			     const char *asked, const struct directory_user *u,
			     const struct fs_settings *s);

#endif
