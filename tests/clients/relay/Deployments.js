// What a component needs to show rows that Relay loads page by page.
// README: begin
import { graphql, usePaginationFragment } from "react-relay";

export const page = graphql`
  query DeploymentsQuery($filter: LicenseDeploymentFilter, $first: Int, $last: Int) {
    ...Deployments_query @arguments(filter: $filter, first: $first, last: $last)
  }
`;

const list = graphql`
  fragment Deployments_query on Query
  @refetchable(queryName: "DeploymentsPageQuery")
  @argumentDefinitions(
    filter: { type: "LicenseDeploymentFilter" }
    first: { type: "Int" }
    after: { type: "String" }
    last: { type: "Int" }
    before: { type: "String" }
  ) {
    licenseDeployments(filter: $filter, first: $first, after: $after, last: $last, before: $before)
      @connection(key: "Deployments_licenseDeployments") {
      edges {
        node { customerTenantId productId channel customerName productName licensesSold processedDateTime }
      }
    }
  }
`;

/** Returns the rows loaded so far, and `loadNext(count)`, `hasNext`, `loadPrevious(count)` and `hasPrevious`. */
export function useDeployments(query) {
  const { data, ...paging } = usePaginationFragment(list, query);
  return { rows: data.licenseDeployments?.edges.map((edge) => edge.node) ?? [], ...paging };
}
// README: end
