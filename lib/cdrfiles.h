/*
 * cdrfiles: the files of mod_json_cdr below a directory.
 *
 * Layer domain.  They are called UUID.cdr.json (or a_UUID.cdr.json), in the
 * directory itself and in the folders of its rotation, YYYY-MM-DD-HH-MM-SS.
 * Files NAME.cdr.jsonl, of many records that voip-failover saved, are taken,
 * too.
 */
#ifndef CDRFILES_H
#define CDRFILES_H

#include <stdbool.h>
#include <stddef.h>

#include "verr.h"

struct cdrfiles {
	char **paths; /* sorted */
	size_t count;
	size_t size; /* private */
};

/*
 * `more` names further folders to look into, ends with NULL, may be NULL.
 * VERR_CONFIG: the directory cannot be read; an inner one is logged.  To be
 * released in any case, zero-initialised before.
 */
int cdrfiles_list(struct cdrfiles *files, const char *directory,
		  const char *const *more, struct verr *e);
void cdrfiles_release(struct cdrfiles *files);

#endif
