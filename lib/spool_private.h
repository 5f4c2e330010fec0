/*
 * spool_private: what the files of spool share.  Nothing else includes it.
 *
 * Layer I/O.
 */
#ifndef SPOOL_PRIVATE_H
#define SPOOL_PRIVATE_H

#include "spool.h"

#define SPOOL_MAGIC "voip-spool 1 "
#define SPOOL_TMP   ".tmp-"

struct spool_staged {
	char name[64];
	int fd; /* open for its lock */
	int64_t size;
};

struct spool {
	char *path;
	int dir;
	int lock;
	int64_t limit;
	size_t count; /* as far as this process knows */
	int64_t bytes;
	struct spool_staged *staged;
	size_t nstaged;
	unsigned counter;
};

/*
 * What root makes (a person at the shell) belongs to the directory's owner: the
 * service must be able to read it.
 */
int spool_give_to_owner(const struct spool *s, int fd);

#endif
