-- One role for each process, with no more rights than it needs, and one that owns the tables: the
-- operator's, for `manage.py migrate`, `createsuperuser` and all of `manage.py outbox`.
--
-- Apply it to the service's database, as a superuser or as the database's owner with CREATEROLE:
--   1. before the first `manage.py migrate`, which pillarbox_owner runs, as it runs all later ones
--      and the hourly `manage.py outbox maintain`;
--   2. again after each migrate: the rights on tables need the tables.
-- It may be applied at any time, as often as you like. The roles have no passwords: give them some
-- (ALTER ROLE ... PASSWORD), or let pg_hba.conf say how they are known.

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['pillarbox_owner', 'pillarbox_web', 'pillarbox_postprocess',
                                'pillarbox_relay', 'pillarbox_worker'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', role);
        END IF;
    END LOOP;
    -- Only the owner of a table, or a member of its role, may grant rights on it.
    IF NOT pg_has_role(current_user, 'pillarbox_owner', 'USAGE') THEN
        EXECUTE format('GRANT pillarbox_owner TO %I', current_user);
    END IF;
    -- Everybody may otherwise make temporary tables.
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END $$;

-- Tables are made by their owner alone.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO pillarbox_owner;
GRANT USAGE ON SCHEMA public
    TO pillarbox_web, pillarbox_postprocess, pillarbox_relay, pillarbox_worker;

DO $$
BEGIN
    IF to_regclass('public.app_post') IS NULL OR to_regclass('public.outbox_history') IS NULL THEN
        RAISE NOTICE 'No tables yet: migrate as pillarbox_owner, then apply this again.';
        RETURN;
    END IF;

    -- A right that a later version of this file no longer grants goes here.
    REVOKE ALL ON ALL TABLES IN SCHEMA public
        FROM pillarbox_web, pillarbox_postprocess, pillarbox_relay, pillarbox_worker;

    -- web: a delivery is three inserts, and its row in the ledger gets the answer once the message
    -- stands; a status is read from the live table and the history. It changes no message: what
    -- becomes of one is the other processes' business.
    GRANT SELECT, INSERT ON outbox_message, app_delivery TO pillarbox_web;
    GRANT UPDATE (message_id, state) ON app_delivery TO pillarbox_web;
    GRANT SELECT, INSERT,
          UPDATE (times, last_at, endpoint, key, accepted_endpoint, accepted_digest, message_id)
        ON app_delivery_conflict TO pillarbox_web;
    GRANT SELECT ON outbox_history TO pillarbox_web;
    GRANT SELECT ON django_migrations TO pillarbox_web;  -- for /readyz
    -- The admin edits Posts and names, and has users and sessions of its own.
    GRANT SELECT, INSERT, UPDATE, DELETE
        ON app_post, app_category, app_tag, app_post_categories, app_post_tags,
           auth_user, auth_group, auth_user_groups, auth_user_user_permissions,
           auth_group_permissions, django_session
        TO pillarbox_web;
    GRANT SELECT, INSERT ON django_admin_log TO pillarbox_web;
    GRANT SELECT ON auth_permission, django_content_type TO pillarbox_web;

    -- postprocess: claims messages, reads their payloads, says what became of them.
    GRANT SELECT ON outbox_message TO pillarbox_postprocess;
    GRANT UPDATE (state, lease_token, suspect, attempts, sends, started_at, due_at, ready_at,
                  last_error)
        ON outbox_message TO pillarbox_postprocess;
    -- Fills Posts, and inserts one that somebody has deleted meanwhile.
    GRANT SELECT, INSERT, UPDATE ON app_post TO pillarbox_postprocess;
    -- The right to update stands for the right to lock: a name must stay while it is linked.
    GRANT SELECT, INSERT, UPDATE (name) ON app_category, app_tag TO pillarbox_postprocess;
    GRANT SELECT, INSERT, DELETE ON app_post_categories, app_post_tags TO pillarbox_postprocess;

    -- relay: moves messages on. No payload can be changed, nothing inserted, nothing deleted.
    GRANT SELECT ON outbox_message TO pillarbox_relay;
    GRANT UPDATE (state, lease_token, suspect, attempts, sends, started_at, due_at, dispatched_at,
                  last_error)
        ON outbox_message TO pillarbox_relay;

    -- worker: a done message leaves for the history; a task may enqueue another.
    GRANT SELECT, INSERT, DELETE ON outbox_message TO pillarbox_worker;
    GRANT UPDATE (state, lease_token, suspect, attempts, started_at, due_at, dispatched_at,
                  last_error)
        ON outbox_message TO pillarbox_worker;
    GRANT INSERT, SELECT (id) ON outbox_history TO pillarbox_worker;
    -- The task indexes a Post. A task of your own needs rights on what it works on.
    GRANT SELECT, UPDATE (search_vector) ON app_post TO pillarbox_worker;
    GRANT SELECT ON app_category, app_tag, app_post_categories, app_post_tags TO pillarbox_worker;
END $$;
