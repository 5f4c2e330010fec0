#include "entitylink.h"

#include <assert.h>
#include <string.h>

/* The row of an extension says by itself what its reference does not. */
#define SERVICE(type, column, tests)         \
	"t.type = '" type "' and t." column  \
	" is null and t.service_ref <> '{}'" \
	" and (" tests ")"

static const struct {
	const char *from, *field, *to, *condition;
} soft[] = {
	{ "entry", "action_data", "extension",
	  "t.domain_id = o.domain_id and t.action = 'transfer'"
	  " and t.action_data = o.extension and o.pattern_re is null" },
	{ "entry", "action_data", "queue",
	  "t.domain_id = o.domain_id and t.action = 'queue'"
	  " and t.action_data = o.name" },
	{ "entry", "action_data", "voicemail",
	  "t.domain_id = o.domain_id and t.action = 'voicemail'"
	  " and t.action_data = o.number" },
	/* A menu's way back to itself does not keep it. */
	{ "entry", "action_data", "ivr",
	  "t.domain_id = o.domain_id and t.action = 'sub-menu'"
	  " and t.action_data = o.name and t.ivr_id <> o.id" },
	{ "extension", "service_ref", "queue",
	  "t.domain_id = o.domain_id and " SERVICE(
		  "queue", "queue_id",
		  "t.service_ref ->> 'queue_id' = o.id::text"
		  " or t.service_ref ->> 'name' = o.name") },
	{ "extension", "service_ref", "ivr",
	  "t.domain_id = o.domain_id and " SERVICE(
		  "ivr", "ivr_id",
		  "t.service_ref ->> 'ivr_id' = o.id::text"
		  " or t.service_ref ->> 'name' = o.name") },
	{ "extension", "service_ref", "voicemail",
	  "t.domain_id = o.domain_id and " SERVICE(
		  "voicemail", "voicemail_box_id",
		  "t.service_ref ->> 'box' = o.number") },
	{ "extension", "service_ref", "conference",
	  "t.domain_id = o.domain_id and " SERVICE(
		  "conference", "conference_id",
		  "t.service_ref ->> 'conference_id' = o.id::text") },
	{ "extension", "service_ref", "trunk",
	  SERVICE("trunk_out", "trunk_id",
		  "t.service_ref ->> 'trunk_id' = o.id::text"
		  " or t.service_ref ->> 'name' = o.name") },
};

static void
add(struct entity_link *links, size_t *n, struct entity_link link)
{
	assert(*n < ENTITY_LINKS);
	links[(*n)++] = link;
}

size_t
entity_links(const struct entity *to, struct entity_link links[ENTITY_LINKS])
{
	bool is_domain = strcmp(to->name, "domain") == 0;
	size_t n = 0;

	for (const struct entity *u = entities; u->name; u++) {
		if (u->parent && strcmp(u->parent, to->name) == 0)
			add(links, &n,
			    (struct entity_link){ .from = u,
						  .column = u->parent_column,
						  .part = true });
		if (is_domain && u->in_domain)
			add(links, &n,
			    (struct entity_link){ .from = u,
						  .column = "domain_id",
						  .part = u->parent != NULL });
		for (const struct entity_field *f = u->fields; f->name; f++)
			if (f->type == ENTITY_REFERENCE &&
			    strcmp(f->words, to->name) == 0)
				add(links, &n,
				    (struct entity_link){
					    .from = u,
					    .field = f,
					    .column = f->column,
					    .lets_go = f->flags &
						       ENTITY_LETS_GO });
	}
	for (size_t i = 0; i < sizeof(soft) / sizeof(soft[0]); i++) {
		const struct entity *from = entity_find(soft[i].from);

		if (strcmp(soft[i].to, to->name) == 0)
			add(links, &n,
			    (struct entity_link){
				    .from = from,
				    .field = entity_field_find(from,
							       soft[i].field),
				    .condition = soft[i].condition });
	}
	return n;
}

void
entity_link_condition(struct buf *sql, const struct entity_link *l)
{
	if (l->column)
		buf_printf(sql, "t.%s = o.id", l->column);
	else
		buf_printf(sql, "(%s)", l->condition);
}
