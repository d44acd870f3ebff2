-- Who is next to whom, from what items refer to. A target is a path, a path without its extension, or, for a link, the name of
-- an item: of several, what is in force, then what is proposed, then the one with the shortest path. A draft has no name that
-- others would mean: its author could lead their links elsewhere.
-- What links is as good as what cites; what was told together counts from the second time on, and each doubling counts half as
-- much as the one before, so that one more context rarely changes anything.
create or replace table edges as
with named as (
    select stem, min_by(n, struct_pack(f := case status when 'accepted' then 0 when 'proposed' then 1 else 2 end,
                                       l := length(path), p := path)) as n
    from nodes where status <> 'draft' group by stem
), found as (
    select f.n as s, coalesce(exact.n, file.n, case when l.kind = 'link' then named.n end) as t, l.kind as relation
    from links l
    join nodes f on f.id = l.item
    left join nodes exact on exact.folded = l.target
    left join nodes file on file.folded = l.target || '.md'
    left join named on named.stem = l.target
    union
    select n.n, old.n, 'supersedes'::relation from nodes n join nodes old on old.path = n.supersedes
), together as (
    select one.n as s, other.n as t, 0.7 * (1 - pow(2, -floor(log2(u.times)))) as weight
    from uses u join nodes one on one.id = u.one join nodes other on other.id = u.other
    where u.times > 1
)
select s, t, relation, 'out'::direction as direction, 0.7::float as weight from found where t is not null and s <> t
union all
select t, s, relation, 'in'::direction, 0.7::float from found where t is not null and s <> t
union all
select s, t, 'coUse'::relation, 'both'::direction, weight::float from together
union all
select t, s, 'coUse'::relation, 'both'::direction, weight::float from together;
