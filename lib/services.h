/*
 * services: start, stop and kill what the site runs.
 *
 * Layer domain.  service.NAME.start and its siblings hold the commands; one
 * that is empty is systemctl's, so the same program runs without systemd.  All
 * wait for the command, at most `service_timeout`.
 */
#ifndef SERVICES_H
#define SERVICES_H

#include <stddef.h>

#include "verr.h"

#define SERVICES_MAX 32

int services_start(const char *name, struct verr *e);
int services_stop(const char *name, struct verr *e);
/* Every process of it, at once. */
int services_kill(const char *name, struct verr *e);
/* 1: it runs, 0: it does not; -1: that cannot be told. */
int services_status(const char *name, struct verr *e);

/*
 * Those of a list (a setting's text, separated by spaces) in their order; what
 * runs is left as it is.  When one does not start, those that were started
 * before it are stopped again, the last first.
 */
int services_start_all(const char *list, struct verr *e);

/* The names of a list, borrowed from `copy`, which is cut up. */
size_t services_split(char *copy, const char *names[SERVICES_MAX]);

#endif
