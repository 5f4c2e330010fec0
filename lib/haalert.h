/*
 * haalert: tell people what was done, or must be done by them.
 *
 * Layer domain.  alert_command gets VOIP_NODE, VOIP_ACTION, VOIP_RESULT and
 * VOIP_WHY in its environment, alert_url the same as a JSON object by POST.
 * The same alert is not given twice in a row.
 */
#ifndef HAALERT_H
#define HAALERT_H

#include "hafacts.h"

/* After a transition; `failure` is NULL when all went well.  Does not wait:
 * another process does. */
void ha_alert(const struct ha_outcome *o, const struct verr *failure);
/* Something else, `action` a word: `result` is "done" or "failed".  The same
 * one of this action is not given twice in a row. */
void ha_alert_about(const char *action, const char *result, const char *why);

#endif
