/* The entities and their fields; the first field of each is its key. */
#include "entity.h"

#include "moment.h"

#define END                  \
	{                    \
		.name = NULL \
	}

/* clang-format off */
#define ACTIVE { "active", "active", ENTITY_BOOL, ENTITY_DEFAULT, NULL, NULL, \
		 "whether it takes part; what is inactive is found nowhere" }
#define TIMES { "created_at", "created_at", ENTITY_TIME, \
		ENTITY_READONLY | ENTITY_DETAIL, NULL, NULL, "when it was added" }, \
	      { "updated_at", "updated_at", ENTITY_TIME, \
		ENTITY_READONLY | ENTITY_DETAIL, NULL, NULL, "when it was last changed" }
#define DESCRIPTION { "description", "description", ENTITY_TEXT, \
		      ENTITY_DEFAULT, NULL, valid_text, "text for people" }
#define LIMITS \
	{ "auth_acl", "auth_acl", ENTITY_TEXT, ENTITY_DETAIL, NULL, valid_acl, \
	  "address list, address or network that may log in" }, \
	{ "user_agent_filter", "user_agent_filter", ENTITY_TEXT, ENTITY_DETAIL, \
	  NULL, valid_text, "pattern that the phone's user agent must match" }, \
	{ "max_calls", "max_calls", ENTITY_INT, ENTITY_DETAIL, NULL, NULL, \
	  "calls at the same time; empty: no limit" }, \
	{ "caller_id_name", "caller_id_name", ENTITY_TEXT, \
	  ENTITY_DETAIL | ENTITY_OWN, NULL, valid_text, "name that others see" }, \
	{ "caller_id_number", "caller_id_number", ENTITY_TEXT, \
	  ENTITY_DETAIL | ENTITY_OWN, NULL, valid_username, "number that others see" }
#define MAX_REGISTRATIONS \
	{ "max_registrations", "max_registrations", ENTITY_INT, ENTITY_DETAIL, \
	  NULL, NULL, "phones of one account; empty: no limit" }

static const struct entity_field domain_fields[] = {
	{ "domain", "domain", ENTITY_TEXT, 0, NULL, valid_domain,
	  "the domain, lower case; the realm of its accounts" },
	{ "tenant_name", "tenant_name", ENTITY_TEXT, ENTITY_DEFAULT, NULL, valid_text,
	  "the tenant's name, for people" },
	ACTIVE, LIMITS, MAX_REGISTRATIONS,
	{ "cdr_keep_days", "cdr_keep_days", ENTITY_INT, ENTITY_DETAIL, NULL, NULL,
	  "days that its CDRs are kept; empty: as all" },
	{ "cdr_anonymise_days", "cdr_anonymise_days", ENTITY_INT, ENTITY_DETAIL,
	  NULL, NULL, "days after which numbers in CDRs are erased; empty: as all" },
	TIMES, END
};

static const struct entity_field user_fields[] = {
	{ "username", "username", ENTITY_TEXT, 0, NULL, valid_username,
	  "the account's name, as the phone sends it" },
	{ "full_name", "full_name", ENTITY_TEXT, ENTITY_DEFAULT | ENTITY_OWN, NULL, valid_text,
	  "the person's name" },
	{ "email", "email", ENTITY_TEXT, ENTITY_OWN, NULL, valid_email,
	  "address for voicemail" },
	{ "role", "role", ENTITY_CHOICE, ENTITY_DEFAULT, "agent supervisor admin", NULL,
	  "what the person may do" },
	ACTIVE,
	{ "password", "ha1", ENTITY_PASSWORD, 0, NULL, valid_password,
	  "the account's password: a word, - for standard input, or random; "
	  "only its HA1 is kept" },
	{ "accountcode", "accountcode", ENTITY_TEXT, ENTITY_DETAIL, NULL, valid_text,
	  "for billing; in every CDR of the account" },
	{ "toll_allow", "toll_allow", ENTITY_TEXT, ENTITY_DETAIL, NULL, valid_text,
	  "classes of numbers that may be dialled" },
	{ "user_context", "user_context", ENTITY_TEXT, ENTITY_DETAIL, NULL, valid_context,
	  "dialplan context; empty: setting user_context" },
	LIMITS, MAX_REGISTRATIONS,
	{ "forbid_register", "forbid_register", ENTITY_BOOL,
	  ENTITY_DEFAULT | ENTITY_DETAIL, NULL, NULL,
	  "whether registering at FreeSWITCH is refused" },
	{ "cidr", "cidr", ENTITY_CIDRS, ENTITY_DETAIL, NULL, valid_cidr,
	  "networks that are known as this user (network-list)" },
	{ "reverse_auth_user", "reverse_auth_user", ENTITY_TEXT,
	  ENTITY_DETAIL | ENTITY_OWN, NULL,
	  valid_username, "name to answer with when the phone challenges" },
	{ "reverse_auth_pass", "reverse_auth_pass", ENTITY_SEALED, ENTITY_DETAIL, NULL,
	  valid_password, "password to answer with; kept encrypted" },
	TIMES, END
};

static const struct entity_field extension_fields[] = {
	{ "extension", "extension", ENTITY_TEXT, 0, NULL, valid_extension,
	  "the number; for trunk_out a pattern: X 0-9, Z 1-9, N 2-9, [15-7], ." },
	{ "type", "type", ENTITY_CHOICE, ENTITY_REQUIRED,
	  "user queue ivr voicemail trunk_out conference", NULL,
	  "what answers; user when there is a user or a password" },
	{ "user", "user_id", ENTITY_REFERENCE, 0, "user", NULL,
	  "the account that rings" },
	{ "queue", "queue_id", ENTITY_REFERENCE, 0, "queue", NULL,
	  "the queue" },
	{ "ivr", "ivr_id", ENTITY_REFERENCE, ENTITY_DETAIL, "ivr", NULL,
	  "the menu" },
	{ "voicemail", "voicemail_box_id", ENTITY_REFERENCE, ENTITY_DETAIL, "voicemail",
	  NULL, "the voicemail box" },
	{ "trunk", "trunk_id", ENTITY_REFERENCE, ENTITY_DETAIL, "trunk", NULL,
	  "the way out" },
	{ "conference", "conference_id", ENTITY_REFERENCE, ENTITY_DETAIL, "conference",
	  NULL, "the conference" },
	DESCRIPTION, ACTIVE,
	{ "need_media", "need_media", ENTITY_BOOL, ENTITY_DETAIL, NULL, NULL,
	  "whether the call passes FreeSWITCH; empty: as the type wants" },
	{ "service_ref", "service_ref", ENTITY_JSON, ENTITY_DEFAULT | ENTITY_DETAIL, NULL,
	  valid_json_object, "parameters for the service, a JSON object" },
	{ "recording_policy", "recording_policy_id", ENTITY_REFERENCE,
	  ENTITY_DETAIL | ENTITY_LETS_GO, "policy", NULL, "when its calls are recorded" },
	TIMES, END
};

static const struct entity_field queue_fields[] = {
	{ "name", "name", ENTITY_TEXT, 0, NULL, valid_text, "the queue's name" },
	{ "extension", "extension", ENTITY_TEXT, ENTITY_OWN, NULL, valid_username,
	  "the number that people know it by" },
	{ "strategy", "strategy", ENTITY_CHOICE, ENTITY_DEFAULT,
	  "ring-all longest-idle-agent round-robin top-down "
	  "agent-with-least-talk-time agent-with-fewest-calls "
	  "sequentially-by-agent-order random ring-progressively", NULL,
	  "who is rung next" },
	{ "max_wait_time", "max_wait_time", ENTITY_INT, ENTITY_DEFAULT, NULL, NULL,
	  "seconds a caller waits at most; 0: without end" },
	{ "max_wait_time_with_no_agent", "max_wait_time_with_no_agent", ENTITY_INT,
	  ENTITY_DEFAULT | ENTITY_DETAIL, NULL, NULL,
	  "seconds a caller waits when no agent is there" },
	{ "tier_rules_apply", "tier_rules_apply", ENTITY_BOOL,
	  ENTITY_DEFAULT | ENTITY_DETAIL, NULL, NULL, "whether tiers have an order" },
	{ "discard_abandoned_after", "discard_abandoned_after", ENTITY_INT,
	  ENTITY_DEFAULT | ENTITY_DETAIL, NULL, NULL,
	  "seconds in which a lost caller keeps the place" },
	{ "music", "music", ENTITY_TEXT, ENTITY_DETAIL, NULL, valid_file,
	  "music on hold: local_stream://..., a file" },
	{ "record", "record", ENTITY_BOOL, ENTITY_DEFAULT, NULL, NULL,
	  "whether its calls are recorded" },
	ACTIVE, TIMES, END
};

static const struct entity_field member_fields[] = {
	{ "user", "user_id", ENTITY_REFERENCE, 0, "user", NULL, "the agent" },
	{ "tier", "tier", ENTITY_INT, ENTITY_DEFAULT, NULL, NULL,
	  "level in the queue, lowest first" },
	{ "position", "position", ENTITY_INT, ENTITY_DEFAULT, NULL, NULL,
	  "place within the tier" },
	ACTIVE, TIMES, END
};

static const struct entity_field group_fields[] = {
	{ "name", "name", ENTITY_TEXT, 0, NULL, valid_text, "the group's name" },
	DESCRIPTION, ACTIVE, TIMES, END
};

static const struct entity_field groupmember_fields[] = {
	{ "user", "user_id", ENTITY_REFERENCE, 0, "user", NULL, "the member" },
	{ "position", "position", ENTITY_INT, ENTITY_DEFAULT, NULL, NULL,
	  "place in the group" },
	ACTIVE, TIMES, END
};

static const struct entity_field ivr_fields[] = {
	{ "name", "name", ENTITY_TEXT, 0, NULL, valid_text, "the menu's name" },
	{ "extension", "extension", ENTITY_TEXT, ENTITY_OWN, NULL, valid_username,
	  "the number that people know it by" },
	{ "greeting_sound", "greeting_sound", ENTITY_TEXT, 0, NULL, valid_file,
	  "what the caller hears first" },
	{ "invalid_sound", "invalid_sound", ENTITY_TEXT, ENTITY_DETAIL, NULL,
	  valid_file, "what the caller hears after a wrong digit" },
	{ "timeout_sound", "timeout_sound", ENTITY_TEXT, ENTITY_DETAIL, NULL,
	  valid_file, "what the caller hears when no digit came" },
	{ "max_failures", "max_failures", ENTITY_INT,
	  ENTITY_DEFAULT | ENTITY_DETAIL, "1..100", NULL, "wrong digits allowed" },
	{ "max_timeouts", "max_timeouts", ENTITY_INT,
	  ENTITY_DEFAULT | ENTITY_DETAIL, "1..100", NULL, "missing digits allowed" },
	{ "timeout_seconds", "timeout_seconds", ENTITY_INT, ENTITY_DEFAULT,
	  "1..600", NULL, "seconds to wait for a digit" },
	ACTIVE, TIMES, END
};

static const struct entity_field entry_fields[] = {
	{ "digit", "digit", ENTITY_TEXT, 0, NULL, valid_digits,
	  "the digits to press: 0-9, * and #" },
	{ "action", "action", ENTITY_CHOICE, ENTITY_REQUIRED,
	  "transfer queue voicemail sub-menu", NULL, "what follows" },
	{ "action_data", "action_data", ENTITY_TEXT, ENTITY_REQUIRED, NULL,
	  valid_text, "a number, or the name of a queue, box or menu" },
	{ "order_num", "order_num", ENTITY_INT, ENTITY_DEFAULT, NULL, NULL,
	  "place in the menu" },
	ACTIVE, TIMES, END
};

static const struct entity_field voicemail_fields[] = {
	{ "number", "number", ENTITY_TEXT, 0, NULL, valid_username,
	  "the box's number" },
	{ "pin", "pin", ENTITY_SEALED, ENTITY_DIALLED, NULL, valid_password,
	  "PIN of the box; kept encrypted" },
	{ "email", "email", ENTITY_TEXT, ENTITY_OWN, NULL, valid_email,
	  "where messages are mailed" },
	{ "keep", "keep", ENTITY_BOOL, ENTITY_DEFAULT, NULL, NULL,
	  "whether a message stays after it was mailed" },
	ACTIVE, TIMES, END
};

static const struct entity_field conference_fields[] = {
	{ "number", "number", ENTITY_TEXT, 0, NULL, valid_username,
	  "the conference's number" },
	DESCRIPTION,
	{ "pin", "pin", ENTITY_SEALED, ENTITY_DIALLED, NULL, valid_password,
	  "PIN of the members; kept encrypted" },
	{ "moderator_pin", "moderator_pin", ENTITY_SEALED,
	  ENTITY_DETAIL | ENTITY_DIALLED, NULL, valid_password,
	  "PIN of the moderators; kept encrypted" },
	{ "max_members", "max_members", ENTITY_INT, 0, "1..2147483647", NULL,
	  "members at the same time; empty: no limit" },
	{ "record", "record", ENTITY_BOOL, ENTITY_DEFAULT, NULL, NULL,
	  "whether it is recorded" },
	ACTIVE, TIMES, END
};

static const struct entity_field trunk_fields[] = {
	{ "name", "name", ENTITY_TEXT, 0, NULL, valid_gateway,
	  "the gateway's name" },
	{ "domain", "domain_id", ENTITY_REFERENCE, 0, "domain", NULL,
	  "the tenant that may use it; empty: all" },
	DESCRIPTION,
	{ "type", "type", ENTITY_CHOICE, ENTITY_DEFAULT, "sip pstn", NULL,
	  "sort of gateway" },
	{ "host", "host", ENTITY_TEXT, ENTITY_REQUIRED, NULL, valid_host,
	  "name or address" },
	{ "port", "port", ENTITY_INT, ENTITY_DEFAULT, "1..65535", NULL,
	  "port" },
	{ "username", "username", ENTITY_TEXT, 0, NULL, valid_text,
	  "our account there" },
	{ "password", "password", ENTITY_SEALED, 0, NULL, valid_password,
	  "its password; kept encrypted" },
	{ "prefix", "prefix", ENTITY_TEXT, ENTITY_DETAIL, NULL, valid_prefix,
	  "digits put in front of the number" },
	{ "register", "register", ENTITY_BOOL, ENTITY_DEFAULT, NULL, NULL,
	  "whether FreeSWITCH registers there" },
	ACTIVE, LIMITS, TIMES, END
};

static const struct entity_field policy_fields[] = {
	{ "name", "name", ENTITY_TEXT, 0, NULL, valid_text, "the policy's name" },
	{ "record_inbound", "record_inbound", ENTITY_BOOL, ENTITY_DEFAULT, NULL,
	  NULL, "record calls from outside" },
	{ "record_outbound", "record_outbound", ENTITY_BOOL, ENTITY_DEFAULT,
	  NULL, NULL, "record calls to outside" },
	{ "record_internal", "record_internal", ENTITY_BOOL, ENTITY_DEFAULT,
	  NULL, NULL, "record calls between users" },
	{ "record_queue", "record_queue", ENTITY_BOOL, ENTITY_DEFAULT, NULL,
	  NULL, "record calls of queues" },
	{ "retention_days", "retention_days", ENTITY_INT, ENTITY_DEFAULT, "1..36500",
	  NULL, "days that recordings are kept" },
	{ "storage_path", "storage_path", ENTITY_TEXT, ENTITY_DEFAULT, NULL,
	  valid_directory, "directory of the recordings" },
	ACTIVE, TIMES, END
};

static const struct entity_field node_fields[] = {
	{ "destination", "destination", ENTITY_TEXT, 0, NULL, valid_sip_uri,
	  "SIP URI, sip:10.0.0.11:5080" },
	{ "set_id", "set_id", ENTITY_INT, ENTITY_DEFAULT, "0..32767", NULL,
	  "dispatcher set: 1 FreeSWITCH, 2 gateways" },
	{ "priority", "priority", ENTITY_INT, ENTITY_DEFAULT, "-2147483648..2147483647", NULL,
	  "highest first" },
	{ "weight", "weight", ENTITY_INT, ENTITY_DEFAULT, "0..100", NULL,
	  "share of the calls, 0 to 100" },
	{ "max_calls", "max_calls", ENTITY_INT, 0, "1..2147483647", NULL,
	  "calls at the same time; empty: no limit" },
	{ "description", "description", ENTITY_TEXT, ENTITY_DEFAULT, NULL,
	  valid_label, "text for people" }, ACTIVE, TIMES, END
};

static const struct entity_field address_fields[] = {
	{ "address", "address", ENTITY_CIDR, 0, NULL, valid_cidr,
	  "address or network that is trusted" },
	{ "group", "grp", ENTITY_INT, ENTITY_DEFAULT, "1..2147483647", NULL,
	  "group 1 is free of the flood limit" },
	{ "port", "port", ENTITY_INT, ENTITY_DEFAULT, "0..65535", NULL,
	  "port; 0: any" },
	{ "tag", "tag", ENTITY_TEXT, ENTITY_DEFAULT, NULL, valid_label,
	  "text for the proxy" },
	ACTIVE, TIMES, END
};

static const struct entity_field emergency_fields[] = {
	{ "number", "number", ENTITY_TEXT, 0, NULL, valid_pattern,
	  "number or pattern, before every tenant's own" },
	DESCRIPTION,
	{ "trunk", "trunk_id", ENTITY_REFERENCE, ENTITY_LETS_GO, "trunk", NULL,
	  "the way out" },
	ACTIVE, TIMES, END
};

static const struct entity_field key_fields[] = {
	{ "key_name", "key_name", ENTITY_TEXT, 0, NULL, valid_text,
	  "the key's name, for people and in the audit" },
	{ "domain", "domain_id", ENTITY_REFERENCE, 0, "domain", NULL,
	  "the tenant that it is held to; empty: the operator's, for all" },
	{ "permissions", "permissions", ENTITY_JSON, ENTITY_DEFAULT, NULL,
	  valid_permissions,
	  "what it may do, {\"cdr\":\"read\",\"users\":\"write\"}; "
	  "what is not named is refused" },
	{ "expires_at", "expires_at", ENTITY_TIME, 0, NULL, valid_moment,
	  "when it ends: 2027-01-31, 2027-01-31T18:00Z, or 90d from now; "
	  "empty: never" },
	{ "secret", "hash", ENTITY_HASHED, ENTITY_MADE, NULL, valid_api_key,
	  "the key itself, made and printed once; a new one takes its place; "
	  "only its SHA-256 is kept" },
	ACTIVE, TIMES, END
};

static const struct entity_field admin_fields[] = {
	{ "role", "role_name", ENTITY_TEXT, 0, NULL, valid_username,
	  "the role of the database, a member of voip_tenant" },
	{ "domain", "domain_id", ENTITY_REFERENCE, ENTITY_REQUIRED, "domain", NULL,
	  "the one domain that it sees and changes" },
	DESCRIPTION, ACTIVE, TIMES, END
};
/* clang-format on */

const struct entity entities[] = {
	{ "domain", "domains", "a tenant", false, NULL, NULL, domain_fields },
	{ "user", "users", "an account and its person", true, NULL, NULL,
	  user_fields },
	{ "extension", "extensions", "a number and what answers it", true, NULL,
	  NULL, extension_fields },
	{ "queue", "queues", "a queue of callers", true, NULL, NULL,
	  queue_fields },
	{ "member", "queue_members", "an agent of a queue", true, "queue",
	  "queue_id", member_fields },
	{ "group", "groups", "users that ring together", true, NULL, NULL,
	  group_fields },
	{ "groupmember", "group_members", "a user of a group", true, "group",
	  "group_id", groupmember_fields },
	{ "ivr", "ivr_menus", "a menu of digits", true, NULL, NULL,
	  ivr_fields },
	{ "entry", "ivr_entries", "a digit of a menu", true, "ivr", "ivr_id",
	  entry_fields },
	{ "voicemail", "voicemail_boxes", "a voicemail box", true, NULL, NULL,
	  voicemail_fields },
	{ "conference", "conferences", "a conference room", true, NULL, NULL,
	  conference_fields },
	{ "trunk", "trunks", "a way out", false, NULL, NULL, trunk_fields },
	{ "policy", "recording_policies", "when calls are recorded", false,
	  NULL, NULL, policy_fields },
	{ "node", "media_nodes", "where the proxy sends calls", false, NULL,
	  NULL, node_fields },
	{ "address", "trusted_addresses", "a peer known by its address", false,
	  NULL, NULL, address_fields },
	{ "emergency", "emergency_numbers", "an emergency number", false, NULL,
	  NULL, emergency_fields },
	{ "key", "api_keys", "a key for the API", false, NULL, NULL,
	  key_fields },
	{ "admin", "domain_admins", "who administers one domain", false, NULL,
	  NULL, admin_fields },
	{ .name = NULL },
};
