/*
 * entitylink: what may point to an entity.
 *
 * Layer domain.  Most links are the reference fields of the table, and the
 * domain and parent that keys name.  A few are names inside of other values, an
 * IVR entry's action_data or an extension's service_ref; entitylink.c has a row
 * for each of those, with its condition in SQL.
 */
#ifndef ENTITYLINK_H
#define ENTITYLINK_H

#include "entity.h"

struct entity_link {
	const struct entity *from;
	/* What points: NULL when it is the key's domain or parent. */
	const struct entity_field *field;
	const char *column;    /* holds the id; or NULL, and then */
	const char *condition; /* SQL over t, which points, and o */
	bool part;             /* goes with the whole, and never keeps it */
	bool lets_go;          /* can be emptied, see ENTITY_LETS_GO */
};

#define ENTITY_LINKS 48

/* What may point to a row of `to`; the number of links. */
size_t
entity_links(const struct entity *to, struct entity_link links[ENTITY_LINKS]);
/* When row t of the link's entity points to row o. */
void entity_link_condition(struct buf *sql, const struct entity_link *l);

#endif
