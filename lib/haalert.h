/*
 * haalert: tell people what was done, or must be done by them.
 *
 * Layer domain.  alert_command gets VOIP_NODE, VOIP_EVENT, VOIP_ACTION,
 * VOIP_RESULT ("done" or "failed"), VOIP_WHY, VOIP_SERVICES (which of them run)
 * and VOIP_DIAGNOSTICS (a file, at a fault) in its environment, alert_url the
 * same as a JSON object by POST.  The same alert is not given twice in a row.
 * At a fault diagnostics are kept, whether somebody is alerted or not.
 */
#ifndef HAALERT_H
#define HAALERT_H

#include <sys/types.h>

#include "hafacts.h"

/*
 * After a transition; `failure` is NULL when all went well.  Does not wait for
 * whom it tells: another process does, which is returned; 0: there is none.
 */
pid_t ha_alert(const struct ha_outcome *o, const struct verr *failure);
/* Something else, `action` a word: `result` is "done" or "failed".  The same
 * one of this action is not given twice in a row. */
void ha_alert_about(const char *action, const char *result, const char *why);

#endif
