--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: audit_no_update(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.audit_no_update() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'audit rows are never changed'; END $$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: _sqlx_migrations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public._sqlx_migrations (
    version bigint NOT NULL,
    description text NOT NULL,
    installed_on timestamp with time zone DEFAULT now() NOT NULL,
    success boolean NOT NULL,
    checksum bytea NOT NULL,
    execution_time bigint NOT NULL
);


--
-- Name: applied; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.applied (
    host_id text NOT NULL,
    identity text NOT NULL,
    state text NOT NULL,
    at_ms bigint NOT NULL,
    settled boolean NOT NULL,
    put_back_ms bigint,
    put_backs bigint NOT NULL
);


--
-- Name: audit; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.audit (
    id text NOT NULL,
    at_ms bigint NOT NULL,
    actor_kind text NOT NULL,
    actor_id text,
    actor_name text NOT NULL,
    address text,
    event text NOT NULL,
    object_type text NOT NULL,
    object_id text,
    object_name text NOT NULL,
    outcome text NOT NULL,
    detail text NOT NULL
);


--
-- Name: calendars; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.calendars (
    id text NOT NULL,
    name text NOT NULL,
    name_key text NOT NULL,
    dates text NOT NULL,
    ranges text NOT NULL,
    yearly text NOT NULL,
    ics text,
    rev bigint NOT NULL,
    created_ms bigint NOT NULL,
    updated_ms bigint NOT NULL
);


--
-- Name: feeds; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.feeds (
    id text NOT NULL,
    user_id text NOT NULL,
    digest text NOT NULL,
    created_ms bigint NOT NULL,
    used_ms bigint
);


--
-- Name: hosts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.hosts (
    id text NOT NULL,
    name text NOT NULL,
    created_ms bigint NOT NULL
);


--
-- Name: idempotency; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.idempotency (
    user_id text NOT NULL,
    key text NOT NULL,
    request text NOT NULL,
    status bigint NOT NULL,
    body text NOT NULL,
    created_ms bigint NOT NULL
);


--
-- Name: leases; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.leases (
    name text NOT NULL,
    epoch bigint NOT NULL,
    holder text NOT NULL,
    until_ms bigint NOT NULL
);


--
-- Name: locks; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.locks (
    host_id text NOT NULL,
    target_type text NOT NULL,
    target_identity text NOT NULL,
    target_name text NOT NULL,
    reason text NOT NULL,
    actor_id text,
    actor_name text NOT NULL,
    created_ms bigint NOT NULL
);


--
-- Name: login_failures; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.login_failures (
    key text NOT NULL,
    since_ms bigint NOT NULL,
    failures bigint NOT NULL,
    blocked_until_ms bigint NOT NULL
);


--
-- Name: naps; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.naps (
    host_id text NOT NULL,
    identity text NOT NULL,
    action text NOT NULL,
    run_id text NOT NULL,
    since_ms bigint NOT NULL
);


--
-- Name: order_edges; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.order_edges (
    id text NOT NULL,
    host_id text NOT NULL,
    dependant_type text NOT NULL,
    dependant_identity text NOT NULL,
    dependant_name text NOT NULL,
    dependency_type text NOT NULL,
    dependency_identity text NOT NULL,
    dependency_name text NOT NULL,
    condition text NOT NULL,
    wait_s bigint,
    actor_id text,
    actor_name text NOT NULL,
    created_ms bigint NOT NULL
);


--
-- Name: overrides; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.overrides (
    id text NOT NULL,
    host_id text NOT NULL,
    target_type text NOT NULL,
    target_name text NOT NULL,
    target_identity text NOT NULL,
    state text NOT NULL,
    created_ms bigint NOT NULL,
    until_ms bigint NOT NULL,
    reason text NOT NULL,
    actor_kind text NOT NULL,
    actor_id text,
    actor_name text NOT NULL,
    by_hand boolean NOT NULL,
    closed_ms bigint,
    closed_reason text NOT NULL
);


--
-- Name: runs; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.runs (
    id text NOT NULL,
    schedule_id text,
    schedule_name text,
    host_id text NOT NULL,
    target_type text NOT NULL,
    target_name text NOT NULL,
    target_identity text NOT NULL,
    action text NOT NULL,
    trigger_kind text NOT NULL,
    actor_kind text NOT NULL,
    actor_id text,
    actor_name text NOT NULL,
    fire_at_ms bigint,
    created_ms bigint NOT NULL,
    started_ms bigint,
    finished_ms bigint,
    state text NOT NULL,
    reason text NOT NULL,
    deadline_ms bigint NOT NULL,
    attempt bigint NOT NULL,
    stop_timeout_s bigint,
    retry_of text,
    missed_first_ms bigint,
    missed_last_ms bigint,
    missed_count bigint,
    restore boolean NOT NULL,
    owner_epoch bigint NOT NULL,
    why text DEFAULT ''::text NOT NULL,
    guard text,
    look_at_ms bigint,
    busy_until_ms bigint
);


--
-- Name: schedules; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.schedules (
    id text NOT NULL,
    name text NOT NULL,
    host_id text NOT NULL,
    target_type text NOT NULL,
    target_name text NOT NULL,
    target_identity text NOT NULL,
    kind text NOT NULL,
    action text,
    cron text,
    at_ms bigint,
    window_text text,
    timezone text,
    enabled boolean NOT NULL,
    catch_up_s bigint NOT NULL,
    policy text NOT NULL,
    mode text NOT NULL,
    wake text NOT NULL,
    priority bigint NOT NULL,
    calendar_id text,
    calendar_effect text,
    stop_timeout_s bigint,
    note text NOT NULL,
    source text NOT NULL,
    source_key text,
    owner_id text,
    skip_at_ms bigint,
    effective_from_ms bigint NOT NULL,
    next_due_ms bigint,
    rev bigint NOT NULL,
    created_ms bigint NOT NULL,
    updated_ms bigint NOT NULL,
    deleted_ms bigint,
    guard text
);


--
-- Name: sessions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.sessions (
    id_hash text NOT NULL,
    user_id text NOT NULL,
    data text NOT NULL,
    kept_form text,
    created_ms bigint NOT NULL,
    last_seen_ms bigint NOT NULL,
    expires_ms bigint NOT NULL,
    address text,
    user_agent text
);


--
-- Name: settings; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.settings (
    key text NOT NULL,
    value text NOT NULL,
    updated_ms bigint NOT NULL
);


--
-- Name: sleeps; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.sleeps (
    host_id text NOT NULL,
    identity text NOT NULL,
    action text NOT NULL,
    run_id text NOT NULL,
    from_ms bigint NOT NULL,
    until_ms bigint,
    memory_bytes bigint,
    cpu_millicores bigint
);


--
-- Name: steps; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.steps (
    id text NOT NULL,
    run_id text NOT NULL,
    ordinal bigint NOT NULL,
    wave bigint NOT NULL,
    host_id text NOT NULL,
    container text NOT NULL,
    identity text NOT NULL,
    action text NOT NULL,
    wait_for text NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    issued_ms bigint,
    finished_ms bigint,
    duration_ms bigint,
    exit_code bigint,
    error text,
    output text
);


--
-- Name: tokens; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.tokens (
    jti text NOT NULL,
    user_id text NOT NULL,
    created_ms bigint NOT NULL,
    expires_ms bigint NOT NULL,
    address text
);


--
-- Name: user_links; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.user_links (
    token_hash text NOT NULL,
    user_id text NOT NULL,
    kind text NOT NULL,
    created_ms bigint NOT NULL,
    expires_ms bigint NOT NULL
);


--
-- Name: users; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.users (
    id text NOT NULL,
    name text NOT NULL,
    name_key text NOT NULL,
    role text NOT NULL,
    password_hash text NOT NULL,
    disabled boolean NOT NULL,
    timezone text,
    theme text,
    password_set_ms bigint NOT NULL,
    last_login_ms bigint,
    rev bigint NOT NULL,
    created_ms bigint NOT NULL,
    updated_ms bigint NOT NULL,
    clock text DEFAULT '24'::text NOT NULL,
    week_start text DEFAULT 'mon'::text NOT NULL,
    keys boolean DEFAULT true NOT NULL
);


--
-- Data for Name: _sqlx_migrations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public._sqlx_migrations VALUES (1, 'init', '2026-12-01 06:08:01.300325+00', true, '\x3b3dbb5aee720933f605f5b21717f0a164683306c20ac13c8cea851d8717bfdac16eb9472388a778e94c1216c6676eea', 18357618);
INSERT INTO public._sqlx_migrations VALUES (2, 'windows', '2026-12-01 06:08:01.319548+00', true, '\x7441220729724ea449af4a118bf9acf44b775c0407c6de1c5627056fab304b67ed59ee5427b79e51b79f3390962239d0', 4599037);
INSERT INTO public._sqlx_migrations VALUES (3, 'locks order', '2026-12-01 06:08:01.324539+00', true, '\xd7919e48315a1f91e8834fff1ebf66998f5c8cdee2b09c9925465390cb7a95603de406ffd157bafbc3f9dbbf7d347af7', 2891747);
INSERT INTO public._sqlx_migrations VALUES (4, 'calendars', '2026-12-01 06:08:01.327701+00', true, '\x2e9b2aa4aa27ac2981cebb6a848d0c0f20c9e2ca70dccce7735385e22bba0ac7f9ca0f6575f672a50a1ae6e33e8975fc', 1893417);
INSERT INTO public._sqlx_migrations VALUES (5, 'guards', '2026-12-01 06:08:01.32986+00', true, '\x3ca739a48d06b026b28d531cfc43192f421d6443b4f49862aba7372a914fa59baed8d5b0dba0de3547ec0b30908a97c2', 872042);
INSERT INTO public._sqlx_migrations VALUES (6, 'last touch', '2026-12-01 06:08:01.330944+00', true, '\xa26b19b906f3e353cf13ca14a9959ad04ec4ab14c3759a234ff4de108853c00e2a69abed955a04519042b2c0f6f93bd8', 1306330);
INSERT INTO public._sqlx_migrations VALUES (7, 'sleeps', '2026-12-01 06:08:01.332506+00', true, '\x1e3d3be94f431fa96075fd90776c898a8720d0d9a6d984d2da49e26cb0382cb380bab972bd801dfc397a56420eb3df72', 2114067);
INSERT INTO public._sqlx_migrations VALUES (8, 'feeds', '2026-12-01 06:08:01.334791+00', true, '\xea9fd39d25fde08411456f54ad018ad9762247bebcdd6ae2a51c73fba14d9843997478922fd05635531cc035339816b2', 1997853);
INSERT INTO public._sqlx_migrations VALUES (9, 'run pages', '2026-12-01 06:08:01.337036+00', true, '\x0b3b19d71f6854d343c2a754f6e85fd3599870865a8308475c83c97e0d759500cef1bcd01a3f793accc86f2abde47f54', 3544301);
INSERT INTO public._sqlx_migrations VALUES (10, 'people', '2026-12-01 06:08:01.340805+00', true, '\x03fe4ce9b4f85b57c1e818266e71318da127022065adf84ec05851f07bc5713d82d2c3afa79b86fa158e0301fe2fcb18', 2258842);
INSERT INTO public._sqlx_migrations VALUES (11, 'growth', '2026-12-01 06:08:01.343338+00', true, '\xd93472a33ad297e049b89026eb5541a2f2284717a6003fc842bd0be41c9617ff2580aa3953302f11a7b077086ffc59cc', 1318889);
INSERT INTO public._sqlx_migrations VALUES (12, 'schedule pages', '2026-12-01 06:08:01.344845+00', true, '\x8a46b576d070077bc14d72cbaf2930195120be3f47aa5f3c4b45f7fe9deefc4da105f6d82ad91efda20efc4d03222984', 1482664);
INSERT INTO public._sqlx_migrations VALUES (13, 'audit of people', '2026-12-01 06:08:01.346594+00', true, '\x8504bf86eb0954b7c0b532250f12ab21f29a6f85fc96d818ed6c8fe7a4835146694d107dd545d921ed2a6aad9f588157', 1447871);
INSERT INTO public._sqlx_migrations VALUES (14, 'steps issued', '2026-12-01 06:08:01.348251+00', true, '\x278c2a1577baee8cc158481790afc174f7402a67f72e91a0ba631c920af1124336cc47c20f561edeb3468700d3a3b325', 1162005);


--
-- Data for Name: applied; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.applied VALUES ('local', 'service:lab/box/1', 'asleep', 1796105281720, true, NULL, 0);
INSERT INTO public.applied VALUES ('local', 'service:media/db/1', 'asleep', 1796105281754, true, NULL, 0);
INSERT INTO public.applied VALUES ('local', 'service:media/web/1', 'asleep', 1796105281754, true, NULL, 0);


--
-- Data for Name: audit; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.audit VALUES ('01a23037-9f82-7000-b3c5-b7c3cda53eea', 1796105281410, 'cli', NULL, 'command line', NULL, 'user.create', 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', 'ok', '{"reason":"first admin"}');
INSERT INTO public.audit VALUES ('01a23037-a011-7000-9283-682bc3837a24', 1796105281553, 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', '127.0.0.1', 'user.login', 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', 'ok', '{}');
INSERT INTO public.audit VALUES ('01a23037-a026-7000-99d6-749726bc84e1', 1796105281574, 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', '127.0.0.1', 'calendar.create', 'calendar', '01a23037-a025-7000-b9f7-52266a856a37', 'Holidays', 'ok', '{"changes":[{"field":"name","old":null,"new":"Holidays"},{"field":"dates","old":null,"new":"2027-03-29"},{"field":"ranges","old":null,"new":"2026-12-24 to 2026-12-31"},{"field":"yearly","old":null,"new":"05-01"}]}');
INSERT INTO public.audit VALUES ('01a23037-a059-7000-b413-838bddd2304b', 1796105281625, 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', '127.0.0.1', 'schedule.create', 'schedule', '01a23037-a04f-7000-8ef6-c01f9286c1a2', 'Nights', 'ok', '{"changes":[{"field":"name","old":null,"new":"Nights"},{"field":"host","old":null,"new":"local"},{"field":"target_type","old":null,"new":"stack"},{"field":"target_id","old":null,"new":"media"},{"field":"kind","old":null,"new":"window"},{"field":"window","old":null,"new":"sleep Mon-Fri 23:00-07:00"},{"field":"mode","old":null,"new":"stop"},{"field":"policy","old":null,"new":"respect"},{"field":"wake","old":null,"new":"restore"},{"field":"calendar_id","old":null,"new":"01a23037-a025-7000-b9f7-52266a856a37"},{"field":"calendar_effect","old":null,"new":"awake"},{"field":"timezone","old":null,"new":"Europe/Berlin"},{"field":"enabled","old":null,"new":"true"},{"field":"catch_up_seconds","old":null,"new":"3600"},{"field":"priority","old":null,"new":"0"}]}');
INSERT INTO public.audit VALUES ('01a23037-a070-7000-80c1-5ce63c5260dc', 1796105281648, 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', '127.0.0.1', 'schedule.create', 'schedule', '01a23037-a069-7000-b827-c15ecde23ae3', 'Weekly restart', 'ok', '{"changes":[{"field":"name","old":null,"new":"Weekly restart"},{"field":"host","old":null,"new":"local"},{"field":"target_type","old":null,"new":"container"},{"field":"target_id","old":null,"new":"loner"},{"field":"kind","old":null,"new":"cron"},{"field":"action","old":null,"new":"restart"},{"field":"cron","old":null,"new":"0 4 * * 0"},{"field":"enabled","old":null,"new":"true"},{"field":"catch_up_seconds","old":null,"new":"3600"},{"field":"priority","old":null,"new":"0"}]}');
INSERT INTO public.audit VALUES ('01a23037-a089-7000-8b6e-34366f65e67f', 1796105281673, 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', '127.0.0.1', 'schedule.create', 'schedule', '01a23037-a082-7000-8d65-2edc8833e3a1', 'Once', 'ok', '{"changes":[{"field":"name","old":null,"new":"Once"},{"field":"host","old":null,"new":"local"},{"field":"target_type","old":null,"new":"stack"},{"field":"target_id","old":null,"new":"lab"},{"field":"kind","old":null,"new":"once"},{"field":"action","old":null,"new":"start"},{"field":"at","old":null,"new":"2037-01-05T08:00:00Z"},{"field":"enabled","old":null,"new":"true"},{"field":"catch_up_seconds","old":null,"new":"3600"},{"field":"priority","old":null,"new":"0"}]}');
INSERT INTO public.audit VALUES ('01a23037-a09a-7000-a243-02151f5c4833', 1796105281690, 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', '127.0.0.1', 'schedule.create', 'schedule', '01a23037-a098-7000-a5fa-edd3dca8a626', 'Off', 'ok', '{"changes":[{"field":"name","old":null,"new":"Off"},{"field":"host","old":null,"new":"local"},{"field":"target_type","old":null,"new":"stack"},{"field":"target_id","old":null,"new":"lab"},{"field":"kind","old":null,"new":"cron"},{"field":"action","old":null,"new":"stop"},{"field":"cron","old":null,"new":"0 22 * * *"},{"field":"enabled","old":null,"new":"false"},{"field":"catch_up_seconds","old":null,"new":"3600"},{"field":"priority","old":null,"new":"0"}]}');
INSERT INTO public.audit VALUES ('01a23037-a0bb-7000-9cbd-e67a562e797c', 1796105281723, 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', '127.0.0.1', 'override.create', 'override', '01a23037-a0ba-7000-b594-81680680056f', 'lab', 'ok', '{"changes":[{"field":"state","old":null,"new":"asleep"},{"field":"target_type","old":null,"new":"stack"},{"field":"until","old":null,"new":"2026-12-21T08:00:00Z"}],"reason":"holidays"}');
INSERT INTO public.audit VALUES ('01a23037-a0bd-7000-8c0f-5bbe7ab367bc', 1796105281725, 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', '127.0.0.1', 'stack.stop', 'stack', 'lab', 'lab', 'ok', '{"run_id":"01a23037-a0b7-7000-b3c6-62e6a6d4257b","trigger":"api","reason":"holidays"}');
INSERT INTO public.audit VALUES ('01a23037-a0dc-7001-8e92-c98fa03f737b', 1796105281756, 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', '127.0.0.1', 'override.create', 'override', '01a23037-a0dc-7000-bc31-98d93356b91c', 'media', 'ok', '{"changes":[{"field":"state","old":null,"new":"asleep"},{"field":"target_type","old":null,"new":"stack"},{"field":"until","old":null,"new":"2026-12-02T06:00:00Z"}],"reason":"put to sleep by ada"}');
INSERT INTO public.audit VALUES ('01a23037-a0e1-7000-873a-025a6d32c2fb', 1796105281761, 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', '127.0.0.1', 'stack.stop', 'stack', 'media', 'media', 'ok', '{"run_id":"01a23037-a0d9-7000-980d-54649aca753a","trigger":"api"}');
INSERT INTO public.audit VALUES ('01a23037-a168-7000-af5d-ed208b47ce5a', 1796105281896, 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', NULL, 'run.finish', 'run', '01a23037-a0b7-7000-b3c6-62e6a6d4257b', 'lab', 'succeeded', '{"run_id":"01a23037-a0b7-7000-b3c6-62e6a6d4257b","trigger":"api"}');
INSERT INTO public.audit VALUES ('01a23037-a23a-7000-abba-f3ea84d9c943', 1796105282106, 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', NULL, 'run.finish', 'run', '01a23037-a0d9-7000-980d-54649aca753a', 'media', 'succeeded', '{"run_id":"01a23037-a0d9-7000-980d-54649aca753a","trigger":"api"}');
INSERT INTO public.audit VALUES ('01a23037-a304-7000-b411-887de47c50ed', 1796105282308, 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', '127.0.0.1', 'container.stop', 'container', 'name:loner', 'loner', 'ok', '{"run_id":"01a23037-a302-7000-9dde-584c8b1a9034","trigger":"api"}');
INSERT INTO public.audit VALUES ('01a23037-a3a3-7000-8164-0117187e13ce', 1796105282467, 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', NULL, 'run.finish', 'run', '01a23037-a302-7000-9dde-584c8b1a9034', 'loner', 'succeeded', '{"run_id":"01a23037-a302-7000-9dde-584c8b1a9034","trigger":"api"}');
INSERT INTO public.audit VALUES ('01a23037-a431-7000-8854-0baa6ce60605', 1796105282609, 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', '127.0.0.1', 'container.start', 'container', 'name:loner', 'loner', 'ok', '{"run_id":"01a23037-a42f-7000-b990-e21628ffd804","trigger":"api"}');
INSERT INTO public.audit VALUES ('01a23037-b114-7000-a55e-cd1b1e9528de', 1796105285908, 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', NULL, 'run.finish', 'run', '01a23037-a42f-7000-b990-e21628ffd804', 'loner', 'succeeded', '{"run_id":"01a23037-a42f-7000-b990-e21628ffd804","trigger":"api"}');
INSERT INTO public.audit VALUES ('01a23037-b1e2-7000-a1a0-feaabc08d53a', 1796105286114, 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', '127.0.0.1', 'container.lock', 'container', 'name:loner', 'loner', 'ok', '{"reason":"on purpose"}');
INSERT INTO public.audit VALUES ('01a23037-b221-7000-8e56-198cf31e2a0e', 1796105286177, 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', '127.0.0.1', 'user.login', 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', 'ok', '{}');


--
-- Data for Name: calendars; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.calendars VALUES ('01a23037-a025-7000-b9f7-52266a856a37', 'Holidays', 'holidays', '["2027-03-29"]', '[["2026-12-24","2026-12-31"]]', '["05-01"]', NULL, 1, 1796105281573, 1796105281573);


--
-- Data for Name: feeds; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: hosts; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.hosts VALUES ('local', 'local', 0);


--
-- Data for Name: idempotency; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: leases; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: locks; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.locks VALUES ('local', 'container', 'name:loner', 'loner', 'on purpose', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', 1796105286113);


--
-- Data for Name: login_failures; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.login_failures VALUES ('address:127.0.0.1', 1796105281508, 0, 0);


--
-- Data for Name: naps; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.naps VALUES ('local', 'service:lab/box/1', 'stop', '01a23037-a0b7-7000-b3c6-62e6a6d4257b', 1796105281871);
INSERT INTO public.naps VALUES ('local', 'service:media/web/1', 'stop', '01a23037-a0d9-7000-980d-54649aca753a', 1796105281963);
INSERT INTO public.naps VALUES ('local', 'service:media/db/1', 'stop', '01a23037-a0d9-7000-980d-54649aca753a', 1796105282095);


--
-- Data for Name: order_edges; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: overrides; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.overrides VALUES ('01a23037-a0ba-7000-b594-81680680056f', 'local', 'stack', 'lab', 'lab', 'asleep', 1796105281722, 1797840000000, 'holidays', 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', false, NULL, '');
INSERT INTO public.overrides VALUES ('01a23037-a0dc-7000-bc31-98d93356b91c', 'local', 'stack', 'media', 'media', 'asleep', 1796105281756, 1796191200000, 'put to sleep by ada', 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', true, NULL, '');


--
-- Data for Name: runs; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.runs VALUES ('01a23037-a0b7-7000-b3c6-62e6a6d4257b', NULL, NULL, 'local', 'stack', 'lab', 'lab', 'stop', 'api', 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', NULL, 1796105281719, 1796105281736, 1796105281877, 'succeeded', '', 1796106181719, 0, NULL, NULL, NULL, NULL, NULL, false, 0, 'holidays', NULL, NULL, NULL);
INSERT INTO public.runs VALUES ('01a23037-a0d9-7000-980d-54649aca753a', NULL, NULL, 'local', 'stack', 'media', 'media', 'stop', 'api', 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', NULL, 1796105281753, 1796105281768, 1796105282104, 'succeeded', '', 1796106181753, 0, NULL, NULL, NULL, NULL, NULL, false, 0, '', NULL, NULL, NULL);
INSERT INTO public.runs VALUES ('01a23037-a302-7000-9dde-584c8b1a9034', NULL, NULL, 'local', 'container', 'loner', 'name:loner', 'stop', 'api', 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', NULL, 1796105282306, 1796105282312, 1796105282467, 'succeeded', '', 1796106182306, 0, NULL, NULL, NULL, NULL, NULL, false, 0, '', NULL, NULL, NULL);
INSERT INTO public.runs VALUES ('01a23037-a42f-7000-b990-e21628ffd804', NULL, NULL, 'local', 'container', 'loner', 'name:loner', 'start', 'api', 'user', '01a23037-9f80-7000-a0e6-c902534904e0', 'ada', NULL, 1796105282607, 1796105282614, 1796105285907, 'succeeded', '', 1796106182607, 0, NULL, NULL, NULL, NULL, NULL, false, 0, '', NULL, NULL, NULL);


--
-- Data for Name: schedules; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.schedules VALUES ('01a23037-a04f-7000-8ef6-c01f9286c1a2', 'Nights', 'local', 'stack', 'media', 'media', 'window', NULL, NULL, NULL, 'sleep Mon-Fri 23:00-07:00', 'Europe/Berlin', true, 3600, 'respect', 'stop', 'restore', 0, '01a23037-a025-7000-b9f7-52266a856a37', 'awake', NULL, '', 'api', NULL, '01a23037-9f80-7000-a0e6-c902534904e0', NULL, 1796105281615, 1796162400000, 1, 1796105281615, 1796105281615, NULL, NULL);
INSERT INTO public.schedules VALUES ('01a23037-a069-7000-b827-c15ecde23ae3', 'Weekly restart', 'local', 'container', 'loner', 'name:loner', 'cron', 'restart', '0 4 * * 0', NULL, NULL, NULL, true, 3600, 'respect', 'stop', 'restore', 0, NULL, NULL, NULL, '', 'api', NULL, '01a23037-9f80-7000-a0e6-c902534904e0', NULL, 1796105281641, 1796526000000, 1, 1796105281641, 1796105281641, NULL, NULL);
INSERT INTO public.schedules VALUES ('01a23037-a082-7000-8d65-2edc8833e3a1', 'Once', 'local', 'stack', 'lab', 'lab', 'once', 'start', NULL, 2114755200000, NULL, NULL, true, 3600, 'respect', 'stop', 'restore', 0, NULL, NULL, NULL, '', 'api', NULL, '01a23037-9f80-7000-a0e6-c902534904e0', NULL, 1796105281666, 2114755200000, 1, 1796105281666, 1796105281666, NULL, NULL);
INSERT INTO public.schedules VALUES ('01a23037-a098-7000-a5fa-edd3dca8a626', 'Off', 'local', 'stack', 'lab', 'lab', 'cron', 'stop', '0 22 * * *', NULL, NULL, NULL, false, 3600, 'respect', 'stop', 'restore', 0, NULL, NULL, NULL, '', 'api', NULL, '01a23037-9f80-7000-a0e6-c902534904e0', NULL, 1796105281688, NULL, 1, 1796105281688, 1796105281688, NULL, NULL);


--
-- Data for Name: sessions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.sessions VALUES ('8574c8685ff5a8eeb530a4a1080bfddbb948c8d5448269cb876e073a14a44ad7', '01a23037-9f80-7000-a0e6-c902534904e0', '{"login":{"auth_hash":[97,100,109,105,110,58,49,55,57,54,49,48,53,50,56,49,52,48,56],"user_id":"01a23037-9f80-7000-a0e6-c902534904e0"}}', NULL, 1796105286178, 1796105286178, 1796134086178, '127.0.0.1', 'curl/7.88.1');


--
-- Data for Name: settings; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.settings VALUES ('instance_id', 'af2af5322d6a10e2b6f0acea75477b06', 1796105281362);
INSERT INTO public.settings VALUES ('users_lock', '', 0);


--
-- Data for Name: sleeps; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.sleeps VALUES ('local', 'service:lab/box/1', 'stop', '01a23037-a0b7-7000-b3c6-62e6a6d4257b', 1796105281777, NULL, 692224, NULL);
INSERT INTO public.sleeps VALUES ('local', 'service:media/web/1', 'stop', '01a23037-a0d9-7000-980d-54649aca753a', 1796105281867, NULL, NULL, NULL);
INSERT INTO public.sleeps VALUES ('local', 'service:media/db/1', 'stop', '01a23037-a0d9-7000-980d-54649aca753a', 1796105281985, NULL, NULL, NULL);
INSERT INTO public.sleeps VALUES ('local', 'name:loner', 'stop', '01a23037-a302-7000-9dde-584c8b1a9034', 1796105282382, 1796105282895, NULL, NULL);


--
-- Data for Name: steps; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.steps VALUES ('01a23037-a0b7-7001-b7d2-96b48a1b6d5d', '01a23037-a0b7-7000-b3c6-62e6a6d4257b', 0, 1, 'local', 'lab_box_1', 'service:lab/box/1', 'stop', '[]', 'succeeded', '', 1796105281745, 1796105281871, 126, 0, NULL, NULL);
INSERT INTO public.steps VALUES ('01a23037-a0d9-7001-b7f5-c86ce9d7bc76', '01a23037-a0d9-7000-980d-54649aca753a', 0, 1, 'local', 'media_web_1', 'service:media/web/1', 'stop', '[]', 'succeeded', '', 1796105281799, 1796105281963, 164, 0, NULL, NULL);
INSERT INTO public.steps VALUES ('01a23037-a0d9-7002-8796-69d2d260cafc', '01a23037-a0d9-7000-980d-54649aca753a', 1, 2, 'local', 'media_db_1', 'service:media/db/1', 'stop', '[{"container":"media_web_1","identity":"service:media/web/1","condition":"stopped"}]', 'succeeded', '', 1796105281965, 1796105282095, 130, 0, NULL, NULL);
INSERT INTO public.steps VALUES ('01a23037-a302-7001-930f-20c0a99a12f3', '01a23037-a302-7000-9dde-584c8b1a9034', 0, 1, 'local', 'loner', 'name:loner', 'stop', '[]', 'succeeded', '', 1796105282317, 1796105282465, 148, 0, NULL, NULL);
INSERT INTO public.steps VALUES ('01a23037-a42f-7001-b57f-3f4e00bcfa00', '01a23037-a42f-7000-b990-e21628ffd804', 0, 1, 'local', 'loner', 'name:loner', 'start', '[]', 'succeeded', '', 1796105282633, 1796105285905, 3272, NULL, NULL, NULL);


--
-- Data for Name: tokens; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.tokens VALUES ('e88f72c71abdda1b7fc5d3e6a990a2cb', '01a23037-9f80-7000-a0e6-c902534904e0', 1796105281554, 1796148481554, '127.0.0.1');


--
-- Data for Name: user_links; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: users; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.users VALUES ('01a23037-9f80-7000-a0e6-c902534904e0', 'ada', 'ada', 'admin', '$argon2id$v=19$m=19456,t=2,p=1$un0L6kdDYOQde4BTz5uPFA$fqqOzjnxU6hPH0xgzqT0lHvyEkt57V5EtrJZ16Rt3ic', false, NULL, NULL, 1796105281408, 1796105286132, 1, 1796105281408, 1796105281408, '24', 'mon', true);


--
-- Name: _sqlx_migrations _sqlx_migrations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public._sqlx_migrations
    ADD CONSTRAINT _sqlx_migrations_pkey PRIMARY KEY (version);


--
-- Name: applied applied_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.applied
    ADD CONSTRAINT applied_pkey PRIMARY KEY (host_id, identity);


--
-- Name: audit audit_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);


--
-- Name: calendars calendars_name_key_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.calendars
    ADD CONSTRAINT calendars_name_key_key UNIQUE (name_key);


--
-- Name: calendars calendars_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.calendars
    ADD CONSTRAINT calendars_pkey PRIMARY KEY (id);


--
-- Name: feeds feeds_digest_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.feeds
    ADD CONSTRAINT feeds_digest_key UNIQUE (digest);


--
-- Name: feeds feeds_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.feeds
    ADD CONSTRAINT feeds_pkey PRIMARY KEY (id);


--
-- Name: hosts hosts_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.hosts
    ADD CONSTRAINT hosts_pkey PRIMARY KEY (id);


--
-- Name: idempotency idempotency_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.idempotency
    ADD CONSTRAINT idempotency_pkey PRIMARY KEY (user_id, key);


--
-- Name: leases leases_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.leases
    ADD CONSTRAINT leases_pkey PRIMARY KEY (name);


--
-- Name: locks locks_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.locks
    ADD CONSTRAINT locks_pkey PRIMARY KEY (host_id, target_type, target_identity);


--
-- Name: login_failures login_failures_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.login_failures
    ADD CONSTRAINT login_failures_pkey PRIMARY KEY (key);


--
-- Name: naps naps_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.naps
    ADD CONSTRAINT naps_pkey PRIMARY KEY (host_id, identity);


--
-- Name: order_edges order_edges_host_id_dependant_type_dependant_identity_depen_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.order_edges
    ADD CONSTRAINT order_edges_host_id_dependant_type_dependant_identity_depen_key UNIQUE (host_id, dependant_type, dependant_identity, dependency_type, dependency_identity);


--
-- Name: order_edges order_edges_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.order_edges
    ADD CONSTRAINT order_edges_pkey PRIMARY KEY (id);


--
-- Name: overrides overrides_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.overrides
    ADD CONSTRAINT overrides_pkey PRIMARY KEY (id);


--
-- Name: runs runs_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (id);


--
-- Name: runs runs_schedule_id_fire_at_ms_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_schedule_id_fire_at_ms_key UNIQUE (schedule_id, fire_at_ms);


--
-- Name: schedules schedules_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schedules
    ADD CONSTRAINT schedules_pkey PRIMARY KEY (id);


--
-- Name: schedules schedules_source_source_key_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schedules
    ADD CONSTRAINT schedules_source_source_key_key UNIQUE (source, source_key);


--
-- Name: sessions sessions_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id_hash);


--
-- Name: settings settings_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.settings
    ADD CONSTRAINT settings_pkey PRIMARY KEY (key);


--
-- Name: sleeps sleeps_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.sleeps
    ADD CONSTRAINT sleeps_pkey PRIMARY KEY (host_id, identity, from_ms);


--
-- Name: steps steps_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.steps
    ADD CONSTRAINT steps_pkey PRIMARY KEY (id);


--
-- Name: tokens tokens_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT tokens_pkey PRIMARY KEY (jti);


--
-- Name: user_links user_links_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.user_links
    ADD CONSTRAINT user_links_pkey PRIMARY KEY (token_hash);


--
-- Name: users users_name_key_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_name_key_key UNIQUE (name_key);


--
-- Name: users users_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);


--
-- Name: applied_put_back; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX applied_put_back ON public.applied USING btree (put_back_ms);


--
-- Name: audit_actor; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_actor ON public.audit USING btree (actor_id, id) WHERE (actor_id IS NOT NULL);


--
-- Name: audit_address; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_address ON public.audit USING btree (address, id) WHERE (address IS NOT NULL);


--
-- Name: audit_event; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_event ON public.audit USING btree (event, id);


--
-- Name: audit_kind; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_kind ON public.audit USING btree (object_type, id);


--
-- Name: audit_what; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_what ON public.audit USING btree (substr(object_name, 1, 64), id);


--
-- Name: audit_who; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_who ON public.audit USING btree (substr(actor_name, 1, 64), id);


--
-- Name: feeds_user; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX feeds_user ON public.feeds USING btree (user_id, created_ms);


--
-- Name: overrides_active; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX overrides_active ON public.overrides USING btree (host_id, target_type, target_identity) WHERE (closed_ms IS NULL);


--
-- Name: overrides_end; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX overrides_end ON public.overrides USING btree (closed_ms, until_ms);


--
-- Name: runs_action; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX runs_action ON public.runs USING btree (action, id);


--
-- Name: runs_actor; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX runs_actor ON public.runs USING btree (actor_name, id);


--
-- Name: runs_attention; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX runs_attention ON public.runs USING btree (id) WHERE (
CASE
    WHEN (state = ANY (ARRAY['failed'::text, 'partial'::text, 'interrupted'::text])) THEN 1
    ELSE 0
END = 1);


--
-- Name: runs_open; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX runs_open ON public.runs USING btree (state, id);


--
-- Name: runs_pace; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX runs_pace ON public.runs USING btree (host_id, target_type, target_identity, action, id, started_ms, finished_ms) WHERE (
CASE
    WHEN ((state = 'succeeded'::text) AND (started_ms IS NOT NULL) AND (finished_ms IS NOT NULL) AND (retry_of IS NULL) AND (substr(reason, 1, 13) <> 'nothing to do'::text)) THEN 1
    ELSE 0
END = 1);


--
-- Name: runs_schedule; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX runs_schedule ON public.runs USING btree (schedule_id, id);


--
-- Name: runs_target; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX runs_target ON public.runs USING btree (host_id, target_type, target_identity, id);


--
-- Name: runs_touch; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX runs_touch ON public.runs USING btree (host_id, target_type, target_identity, id) WHERE (
CASE
    WHEN (state = ANY (ARRAY['succeeded'::text, 'partial'::text])) THEN 1
    ELSE 0
END = 1);


--
-- Name: runs_trigger; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX runs_trigger ON public.runs USING btree (trigger_kind, id);


--
-- Name: runs_undone; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX runs_undone ON public.runs USING btree (host_id, target_type, target_identity, id) WHERE (
CASE
    WHEN (state = ANY (ARRAY['pending'::text, 'executing'::text])) THEN 1
    ELSE 0
END = 1);


--
-- Name: schedules_calendar; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX schedules_calendar ON public.schedules USING btree (calendar_id);


--
-- Name: schedules_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX schedules_due ON public.schedules USING btree (next_due_ms);


--
-- Name: schedules_members; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX schedules_members ON public.schedules USING btree (host_id, target_type, target_identity COLLATE "C", id);


--
-- Name: schedules_target; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX schedules_target ON public.schedules USING btree (host_id, target_type, target_identity, id);


--
-- Name: sessions_expiry; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX sessions_expiry ON public.sessions USING btree (expires_ms);


--
-- Name: sessions_user; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX sessions_user ON public.sessions USING btree (user_id, created_ms);


--
-- Name: sleeps_open; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX sleeps_open ON public.sleeps USING btree (host_id, identity) WHERE (until_ms IS NULL);


--
-- Name: sleeps_until; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX sleeps_until ON public.sleeps USING btree (until_ms);


--
-- Name: steps_container; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX steps_container ON public.steps USING btree (host_id, identity, issued_ms) WHERE (issued_ms IS NOT NULL);


--
-- Name: steps_run; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX steps_run ON public.steps USING btree (run_id, ordinal);


--
-- Name: steps_touch; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX steps_touch ON public.steps USING btree (host_id, identity, run_id);


--
-- Name: tokens_user; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX tokens_user ON public.tokens USING btree (user_id, created_ms);


--
-- Name: user_links_user; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX user_links_user ON public.user_links USING btree (user_id);


--
-- Name: audit audit_no_update; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER audit_no_update BEFORE UPDATE ON public.audit FOR EACH ROW EXECUTE FUNCTION public.audit_no_update();


--
-- Name: feeds feeds_user_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.feeds
    ADD CONSTRAINT feeds_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;


--
-- Name: idempotency idempotency_user_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.idempotency
    ADD CONSTRAINT idempotency_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;


--
-- Name: runs runs_schedule_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_schedule_id_fkey FOREIGN KEY (schedule_id) REFERENCES public.schedules(id);


--
-- Name: schedules schedules_owner_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schedules
    ADD CONSTRAINT schedules_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id) ON DELETE SET NULL;


--
-- Name: sessions sessions_user_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;


--
-- Name: steps steps_run_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.steps
    ADD CONSTRAINT steps_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(id) ON DELETE CASCADE;


--
-- Name: tokens tokens_user_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;


--
-- Name: user_links user_links_user_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.user_links
    ADD CONSTRAINT user_links_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;


--
-- PostgreSQL database dump complete
--


