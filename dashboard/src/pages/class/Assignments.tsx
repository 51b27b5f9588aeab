/** Assignments, with the status of each student: who is done, who is stuck and on what. */

import { Center } from "@mantine/core";

import { Empty } from "../../components/Feedback";
import { ButtonLink } from "../../components/Links";
import { EditAssignment, NewAssignment } from "./AssignmentForm";
import { AssignmentPrograms } from "./AssignmentPrograms";
import { Extensions } from "./Extensions";
import { OfAssignment, useChooseAssignment } from "./OfAssignment";
import { Students } from "./students/Students";

export function Assignments() {
  const choose = useChooseAssignment();
  return (
    <OfAssignment
      empty={
        <Empty title="No assignments yet">
          An assignment has a deadline and the questions or experiments that count. This page then shows who is done and
          who is stuck.
          <Center mt="sm">
            <NewAssignment made={choose} />
          </Center>
        </Empty>
      }
      actions={(assignment) => (
        <>
          <ButtonLink size="sm" variant="default" to="/jobs" search={{ assignment: assignment.id }}>
            Leaderboard
          </ButtonLink>
          <Extensions key={`extensions ${assignment.id}`} assignment={assignment} />
          <AssignmentPrograms key={`programs ${assignment.id}`} assignment={assignment} />
          <EditAssignment key={assignment.id} assignment={assignment} />
          <NewAssignment made={choose} />
        </>
      )}
    >
      {(assignment) => <Students key={assignment.id} assignment={assignment} />}
    </OfAssignment>
  );
}
