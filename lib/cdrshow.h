/*
 * cdrshow: what voip-cdr prints.
 *
 * Layer domain.
 */
#ifndef CDRSHOW_H
#define CDRSHOW_H

#include "cdrquery.h"
#include "db.h"
#include "out.h"
#include "verr.h"

/* A page of legs; a table has the main columns, the others have all. */
struct out *cdrshow_begin(enum out_format format, struct verr *e);
void cdrshow_rows(struct out *out, enum out_format format,
		  const struct db_result *legs);

/* The story of a call (cdrstory.h). */
int cdrshow_story(enum out_format format, const struct db_result *legs,
		  struct verr *e);

int cdrshow_stats(enum out_format format, const char *group,
		  const struct db_result *stats, struct verr *e);
/* Append a bar for each group's attempts, `width` columns at most. */
void
cdrshow_chart(struct buf *text, const struct db_result *stats, unsigned width);

int cdrshow_dead(enum out_format format, const struct db_result *letters,
		 struct verr *e);

#endif
