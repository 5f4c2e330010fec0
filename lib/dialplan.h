/*
 * dialplan: the answers of section "dialplan": what happens to one call.
 *
 * Layer domain.  Who may say what (DESIGN of the platform):
 *   - In the context `from-kamailio` the headers X-VOIP-DOMAIN, X-VOIP-CALLER
 *     and X-VOIP-SERVICE are believed when the call comes from an address of
 *     the setting `trusted_proxies`; from any other it is refused.
 *   - In the context of a tenant's users the tenant is the one of the user who
 *     logged in (domain_name), or who was called (dialed_domain).
 *   - No other context is ours.
 * Where a number leads is what voip.route() says, the very function that the
 * proxy uses.  A trunk is for callers who are known, and for calls that
 * somebody inside has sent there (a menu, a transfer), not for those that the
 * caller from outside has sent on (REFER).
 *
 * Injection.  FreeSWITCH takes arguments apart at blanks, commas, `|`, quotes,
 * braces and `^^`, and expands `${...}`.  So what stands in an argument is a
 * number, an account's name, a gateway's or a domain, each made of an alphabet
 * without these signs (checked here again), or a percent-encoded name.  Names
 * of people stand alone at the end of `set NAME=`, with `${` made harmless.
 */
#ifndef DIALPLAN_H
#define DIALPLAN_H

#include "answer.h"

#define DIALPLAN_PROXY_CONTEXT "from-kamailio"

extern const struct answer dialplan_number;
/* Every number of a tenant, for a static file of the lookup's context. */
extern const struct answer dialplan_whole;

#endif
