/*
 * valid: the checks of names and numbers, in one table.
 *
 * Layer text.  Each check takes a string and says what is wrong with it, as a
 * sentence that names the character and what is allowed.  The entity table,
 * the command line and the lookups use the same ones; the CHECKs of sql/ say
 * the same in SQL.
 */
#ifndef VALID_H
#define VALID_H

#include "verr.h"

/* A value as a message repeats it: escaped, and cut when it is long. */
struct valid_shown {
	char text[96];
};
struct valid_shown valid_show(const char *s);

/* Returns 0, or -1 with VERR_INPUT: "'%c' is not allowed in domain 'a%b'...".
 */
typedef int (*valid_fn)(const char *value, struct verr *e);

/* RFC 1035 labels, lower case, 253 characters at most; also an IPv4 address. */
int valid_domain(const char *s, struct verr *e);
/* SIP user part that Kamailio's config admits: [A-Za-z0-9_.+*#-]{1,64}. */
int valid_username(const char *s, struct verr *e);
/* Extension or pattern: as a username, with [..] classes for patterns. */
int valid_extension(const char *s, struct verr *e);
/* A pattern, or a number, as voip.is_pattern() has it. */
int valid_pattern(const char *s, struct verr *e);
/* Text for people: UTF-8, no control characters, 1 to 128 characters. */
int valid_text(const char *s, struct verr *e);
int valid_email(const char *s, struct verr *e);
int valid_bool(const char *s, struct verr *e);
int valid_port(const char *s, struct verr *e);
int valid_host(const char *s, struct verr *e); /* name or address */
int valid_uuid(const char *s, struct verr *e); /* 8-4-4-4-12, any case */
int valid_cidr(const char *s, struct verr *e); /* address or network */
int valid_json_object(const char *s, struct verr *e);
/* {"cdr": "read", "users": "write"} */
int valid_permissions(const char *s, struct verr *e);
/* Hashed once only, so it must be beyond guessing: 32 to 128 characters. */
int valid_api_key(const char *s, struct verr *e);
int valid_password(const char *s, struct verr *e); /* printable UTF-8, 1-128 */

/* --- of single fields: validfield.c ----------------------------------- */

int valid_acl(const char *s, struct verr *e); /* list, address, network */
int valid_context(const char *s, struct verr *e);
int valid_digits(const char *s, struct verr *e); /* that a menu hears */
int valid_prefix(const char *s, struct verr *e);
int valid_gateway(const char *s, struct verr *e);
int valid_sip_uri(const char *s, struct verr *e);
int valid_label(const char *s, struct verr *e);     /* as valid_text(), 64 */
int valid_file(const char *s, struct verr *e);      /* as valid_text(), 1024 */
int valid_directory(const char *s, struct verr *e); /* absolute, no ".." */

#endif
