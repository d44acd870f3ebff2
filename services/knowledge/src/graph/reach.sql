-- What is to be reached from an item ($1) by a reader ($2, null sees all drafts) within a distance ($3): the nearest first, then
-- the most strongly tied, at most $4. At each distance the 201 strongest
-- are followed: one more than is ever shown, which tells that there is more. Each item comes once, by its shortest way.
with recursive reached(n, depth, came, relation, direction, weight) using key (n) as (
    select n, 0, null::integer, null::relation, null::direction, 1::float from nodes where id = $1::varchar::uuid
    union
    select step.t, step.depth, step.hop.came, step.hop.relation, step.hop.direction, step.hop.weight
    from (
        select e.t, r.depth + 1 as depth,
               min_by(struct_pack(came := e.s, relation := e.relation, direction := e.direction, weight := e.weight),
                      struct_pack(w := -e.weight, p := via.path, r := e.relation, d := e.direction)) as hop
        from reached r
        join edges e on e.s = r.n
        join nodes via on via.n = e.s
        join nodes target on target.n = e.t
        left join recurring.reached known on known.n = e.t
        where r.depth < $3::integer and known.n is null
          and (target.status <> 'draft' or $2::varchar is null or target.author = $2::varchar)
        group by e.t, target.path, r.depth
        order by max(e.weight) desc, target.path
        limit 201
    ) step
)
select node.id::varchar, r.depth::bigint, before.id::varchar, r.relation::varchar, r.direction::varchar
from reached r join nodes node on node.n = r.n join nodes before on before.n = r.came
order by r.depth, r.weight desc, node.path
limit $4::integer
