/*
 * cdrcommand: the commands of voip-cdr.
 *
 * Layer domain.  Each checks its options, asks, and prints rows; the return
 * value is main()'s.
 */
#ifndef CDRCOMMAND_H
#define CDRCOMMAND_H

#include "buf.h"
#include "cdrquery.h"
#include "verr.h"

struct cdrcommand {
	struct cdrquery query;
	const char *after; /* of a list's page, or NULL */
	int limit;
	const char *group; /* of stats; NULL: by day */
	const char *zone;  /* NULL: UTC */
	int chart;
	int missing; /* of an audit: the missing legs only */
	/* What is to be printed as it is, when it went well. */
	struct buf text;
};

int cdrcommand_list(struct cdrcommand *c, struct verr *e);
int cdrcommand_export(struct cdrcommand *c, struct verr *e);
int cdrcommand_show(struct cdrcommand *c, const char *leg_uuid, struct verr *e);
int cdrcommand_raw(struct cdrcommand *c, const char *leg_uuid, struct verr *e);
int cdrcommand_stats(struct cdrcommand *c, struct verr *e);
/* The directory of mod_json_cdr's files; NULL: setting cdr_import_dir. */
int
cdrcommand_audit(struct cdrcommand *c, const char *directory, struct verr *e);
/* VERB [ARGUMENT...] */
int cdrcommand_dead(struct cdrcommand *c, int argc, const char **argv,
		    struct verr *e);

#endif
