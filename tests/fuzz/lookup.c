/*
 * Any bytes as a form: what is understood is a question about names that can
 * exist, and trusted fields are the ones that FreeSWITCH wrote.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "answer.h"
#include "utf8.h"

static void
check(struct lookup *l)
{
	const struct form_pair *domain = form_last(&l->form, "domain");
	const struct form_pair *key = form_first(&l->form, "key_value");
	struct fs_settings settings;
	struct verr e = VERR_INIT;
	struct question q;

	if (l->what == LOOKUP_UNKNOWN)
		return;
	if (l->refused)
		abort();
	if (strcmp(l->section, "directory") == 0 && domain && key &&
	    *key->value && strcasecmp(domain->value, l->domain) != 0)
		abort();
	if (strlen(l->domain) > 253 || strlen(l->user) > 64 ||
	    strpbrk(l->domain, "'\"<>&$ ") || strpbrk(l->user, "'\"<>&$@ "))
		abort();
	if (fs_settings_set(&settings, false, "127.0.0.1:5060", "default", 0,
			    &e) == -1)
		abort();
	answer_question(&q, l, &settings);
	if (l->what == LOOKUP_DIALPLAN && !lookup_is_domain(q.domain))
		abort();
	if (q.nparams > QUESTION_PARAMS || (q.nparams && !q.sql))
		abort();
	/* The database calls anything else an error, which is no answer. */
	for (int i = 0; i < q.nparams; i++)
		if (!utf8_valid(q.params[i].value, strlen(q.params[i].value)))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct verr e = VERR_INIT;
	struct lookup l;

	if (lookup_parse(&l, size % 2 ? "directory" : NULL, (const char *)data,
			 size, &e) == 0)
		check(&l);
	lookup_release(&l);
	return 0;
}
