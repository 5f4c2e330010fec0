/*
 * change: one change of the directory, as a notification and as a line.
 *
 * Layer domain.  PostgreSQL tells each change on channel voip_changed
 * (sql/0005-audit.sql).  voip-watch(1) reads such payloads and prints lines;
 * voip-reload(8) and everybody else reads the lines back:
 *
 *   {"op":"update","entity":"user","key":"1001@a.example","domain":"a.example"}
 *   update <TAB> user <TAB> 1001@a.example <TAB> a.example
 *
 * jsonl: an object a line, members in any order, unknown ones are ignored.
 * tsv: these four columns under a head, further ones are ignored; a field's
 * tab, newline, CR and backslash are \t \n \r \\.  In both the word `resync`
 * alone is a line too.
 *
 * Operations: insert, update, delete: of the row with that key.  A new name is
 * two updates, of the old key and of the new.  `many`: any rows of that entity
 * in that domain; its key is "*".  `resync`: changes may have been missed, so
 * whatever is known may be old; it has no entity, key and domain.
 *
 * Values are what the line says, hostile ones too: they are UTF-8 without NUL
 * within the sizes below, and nothing else is promised.  Errors: VERR_INPUT,
 * VERR_RETRY without memory.
 */
#ifndef CHANGE_H
#define CHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "entity.h"
#include "verr.h"

/* A line is no longer than this, its newline not counted. */
#define CHANGE_LINE_MAX 16384

enum change_op {
	CHANGE_INSERT,
	CHANGE_UPDATE,
	CHANGE_DELETE,
	CHANGE_MANY,
	CHANGE_RESYNC,
};

enum change_format {
	CHANGE_JSONL,
	CHANGE_TSV,
};

/* All of it by value: a change may be copied, and needs no cleanup. */
struct change {
	enum change_op op;
	/* NULL for a resync, and for a table that this program does not know:
	 * the database may be newer. */
	const struct entity *entity;
	/* The entity's table, or the word that named no known one. */
	char table[64];
	/*
	 * "" when the row belongs to no tenant, and when its tenant was removed
	 * together with it: the change of the domain is told too.
	 */
	char domain[256];
	char parent[640]; /* "support" of "support/1001@a.example", else "" */
	char name[640];   /* "1001"; "*" when op is CHANGE_MANY */
};

/* A payload of channel voip_changed. */
int change_from_payload(struct change *c, const char *payload, size_t len,
			struct verr *e);

/*
 * A line of either format, without its newline.  Returns 1, or 0 when it says
 * nothing (empty, or the head of tsv), or -1.
 */
int change_from_line(struct change *c, const char *line, size_t len,
		     struct verr *e);

/* Append the line with its newline. */
void change_print(struct buf *out, enum change_format format,
		  const struct change *c);

/* Append the head line; jsonl has none. */
void change_head(struct buf *out, enum change_format format);

#endif
