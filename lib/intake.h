/*
 * intake: CDRs over HTTP, made durable.
 *
 * Layer domain.  A request is answered with 2xx when, and only when, its CDR is
 * committed in voip.cdr_queue (or voip.cdr_dead), or is an fsynced file of the
 * spool.  Requests that come while an INSERT is under way go into the next one
 * together; one that comes alone is sent at once.  When the database is away,
 * slower than `cdr_deadline`, or refuses, everything that waits is spooled, and
 * drained when it is back, oldest first.
 */
#ifndef INTAKE_H
#define INTAKE_H

#include <stdbool.h>

#include "httpd.h"
#include "loop.h"
#include "verr.h"

#define INTAKE_BODY_MAX (1 << 20)

struct intake;

extern const struct http_route intake_routes[];

/* The caller frees it with intake_free(). */
struct intake *intake_new(struct loop *loop, struct verr *e);
void intake_free(struct intake *in);
void intake_reload(struct intake *in);
/* Is something under way, or in the spool? */
bool intake_busy(const struct intake *in);

/* --- without a loop ---------------------------------------------------- */

struct spool;

/* The spool of the settings. */
struct spool *intake_open_spool(struct verr *e);

/*
 * Empty the spool into the database.  VERR_CONFLICT: another one is at it.
 * `progress` (or NULL) is called after each batch with the total.
 */
int
intake_drain(size_t *drained, void (*progress)(size_t drained), struct verr *e);

#endif
