-- Roles that own nothing and cannot log in. Every transaction takes one of them; row-level security rules what it sees.
do $$
declare
    wanted text;
begin
    foreach wanted in array array['aeterna_app', 'aeterna_system', 'aeterna_sweeper'] loop
        begin
            execute format('create role %I nologin nosuperuser nobypassrls nocreatedb nocreaterole', wanted);
        exception
            -- Roles belong to the server, not to the database: another database may have made it, even at this moment.
            when duplicate_object or unique_violation then null;
        end;
        if not pg_has_role(current_user, wanted, 'member') then
            execute format('grant %I to current_user', wanted);
        end if;
    end loop;
end $$;

-- Which component has built its schemas for which release: the operator reads here when a release may roll out. A release
-- that was built once stays built, for later migrations only add.
create table releases (
    component   text        not null,
    release     text        not null,
    migrated_at timestamptz not null default now(),
    primary key (component, release)
);
